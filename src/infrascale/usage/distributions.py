"""Mean, quantiles and lognormal of a histogram {value: count}: exact, however many requests it came from.

Pure: numbers in, a Distribution out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from infrascale.usage.evidence import Distribution

Histogram = Sequence[tuple[float, float]]  # (value, weight), values rising


def quantile(histogram: Histogram, fraction: float) -> float:
    """Smallest value with at least `fraction` of the weight at or below it."""
    wanted, seen = fraction * sum(weight for _, weight in histogram), 0.0
    for value, weight in histogram:
        seen += weight
        if seen >= wanted * (1 - 1e-12):
            return value
    return histogram[-1][0]


def distribution(histogram: Histogram) -> Distribution | None:
    """None where nothing was seen."""
    if not histogram:
        return None
    count = sum(weight for _, weight in histogram)
    mean = sum(value * weight for value, weight in histogram) / count
    variance = sum(weight * (value - mean) ** 2 for value, weight in histogram) / count
    log_mean, log_sd, log_ks = lognormal(histogram)
    p10, p50, p90, p95, p99 = (quantile(histogram, fraction) for fraction in (0.1, 0.5, 0.9, 0.95, 0.99))
    return Distribution(
        count=round(count),
        mean=mean,
        sd=math.sqrt(variance),
        smallest=histogram[0][0],
        p10=p10,
        p50=p50,
        p90=p90,
        p95=p95,
        p99=p99,
        largest=histogram[-1][0],
        log_mean=log_mean,
        log_sd=log_sd,
        log_ks=log_ks,
    )


def lognormal(histogram: Histogram) -> tuple[float | None, float | None, float | None]:
    """Maximum likelihood of a lognormal over the positive values, and its Kolmogorov-Smirnov distance.

    mu = mean(ln x), sigma = sd(ln x); distance = max |F(x) − Phi((ln x − mu) / sigma)|, at the middle of each step.
    """
    positive = [(math.log(value), weight) for value, weight in histogram if value > 0]
    count = sum(weight for _, weight in positive)
    if len(positive) < 2:
        return None, None, None
    mu = sum(value * weight for value, weight in positive) / count
    sigma = math.sqrt(sum(weight * (value - mu) ** 2 for value, weight in positive) / count)
    seen, distance = 0.0, 0.0
    for value, weight in positive:
        fitted = 0.5 * math.erfc((mu - value) / (sigma * math.sqrt(2)))
        distance = max(distance, abs((seen + weight / 2) / count - fitted))
        seen += weight
    return mu, sigma, distance
