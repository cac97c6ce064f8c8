"""Efficiency curves from seconds: the most probable parameters, given what is known of the generation.

In: samples (Work, seconds), a Gpu, the curve to start from.    Out: the parameters, and their median error.
Idea: every parameter is a positive number with a log-normal prior about the generation's value; Levenberg-Marquardt on
the logarithms of times. What the samples cannot tell stays where it was:

    minimise  Σ ρ((log t(θ) − log t) / NOISE)² + Σ ((θ − θ₀) / spread)²         θ = log parameter
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, log
from statistics import median

from infrascale.calibration.algebra import solved
from infrascale.hardware import Curve, Gpu
from infrascale.work import Kind, Work

#: What is fitted for each kind, with the value it starts from where the generation has none.
PARAMETERS: Mapping[Kind, Mapping[str, float]] = {
    Kind.GEMM: {"launch_s": 3e-6, "bytes_fraction": 0.8, "flop_fraction": 0.7, "rows_half": 0.5, "depth_s": 3e-10,
                "exponent": 2.0},
    Kind.DECODE_ATTENTION: {"launch_s": 1e-5, "bytes_fraction": 0.8, "flop_fraction": 0.5, "row_s": 1e-8,
                            "exponent": 2.0},
    Kind.PREFILL_ATTENTION: {"launch_s": 1e-5, "flop_fraction": 0.6, "rows_half": 500.0, "depth_s": 1e-8},
    Kind.ELEMENTWISE: {"launch_s": 3e-6, "bytes_fraction": 0.7},
}  # fmt: skip
#: Log-spread about the start; exponents hardly move. An unknown card may be far from any generation.
SPREADS = {"known": 0.7, "unknown": 3.0}
EXPONENT_SPREAD = 0.3
NOISE = 0.05
ROBUST = 2.0
STEPS = 60
#: No kernel beats the sheet of a GPU; a CPU's caches beat its memory.
BOUNDED = ("launch_s", "bytes_fraction", "flop_fraction")
MOST_FRACTION = {"cuda": 1.0, "cpu": 20.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """`values` by parameter; `error_fraction`: the median over the samples it was fitted to.

    `shipped_ratio`: the median of measured over the seconds that the generation's curve gives, where there is one.
    """

    values: Mapping[str, float]
    error_fraction: float
    samples: int
    shipped_ratio: float | None = None


def fit(kind: Kind, samples: Sequence[tuple[Work, float]], gpu: Gpu, start: Curve, known: bool, device: str) -> Fit:
    """The curve of one kind of operator on this card."""
    names = tuple(PARAMETERS[kind])
    first = [log(getattr(start, n) or PARAMETERS[kind][n]) for n in names]
    spread = SPREADS["known" if known else "unknown"]
    held = [(EXPONENT_SPREAD if n == "exponent" else spread) ** -2 for n in names]
    quickest = log(min(seconds for _, seconds in samples))  # no launch lasts longer than the quickest call
    most = {n: quickest if n == "launch_s" else log(MOST_FRACTION[device]) for n in names if n in BOUNDED}

    def curve(theta: Sequence[float]) -> Curve:
        return replace(start, **{n: exp(min(t, most.get(n, t))) for n, t in zip(names, theta, strict=True)})

    def residuals(theta: Sequence[float]) -> list[float]:
        own = curve(theta)
        return [log(seconds / own.seconds(work, gpu)) / NOISE for work, seconds in samples]

    theta = most_probable(residuals, first, held)
    own = curve(theta)
    errors = [abs(own.seconds(work, gpu) / seconds - 1) for work, seconds in samples]
    return Fit(
        values={n: getattr(own, n) for n in names},
        error_fraction=median(errors),
        samples=len(samples),
        shipped_ratio=median(seconds / start.seconds(work, gpu) for work, seconds in samples) if known else None,
    )


def _cost(found: Sequence[float], theta: Sequence[float], first: Sequence[float], held: Sequence[float]) -> float:
    near = sum(r * r if abs(r) <= ROBUST else 2 * ROBUST * abs(r) - ROBUST**2 for r in found)
    return near + sum(h * (t - f) ** 2 for h, t, f in zip(held, theta, first, strict=True))


def most_probable(residuals, first: Sequence[float], held: Sequence[float]) -> list[float]:
    """Levenberg-Marquardt, residuals beyond `ROBUST` counting less (Huber)."""
    theta, damping, size = list(first), 1e-2, range(len(first))
    found = residuals(theta)
    cost = _cost(found, theta, first, held)
    for _ in range(STEPS):
        slopes = [
            [
                (a - b) / 1e-4
                for a, b in zip(residuals([t + 1e-4 * (i == j) for j, t in enumerate(theta)]), found, strict=True)
            ]
            for i in size
        ]
        weights = [1.0 if abs(r) <= ROBUST else ROBUST / abs(r) for r in found]
        right = [-sum(w * s * r for w, s, r in zip(weights, slopes[i], found, strict=True)) for i in size]
        right = [r - held[i] * (theta[i] - first[i]) for i, r in enumerate(right)]
        normal = [
            [sum(w * a * b for w, a, b in zip(weights, slopes[i], slopes[j], strict=True)) for j in size] for i in size
        ]
        for _ in range(12):
            damped = [
                [normal[i][j] + (held[i] + damping * (normal[i][i] + held[i]) if i == j else 0.0) for j in size]
                for i in size
            ]
            moved = [t + max(-1.0, min(1.0, move)) for t, move in zip(theta, solved(damped, right), strict=True)]
            tried = residuals(moved)
            lower = _cost(tried, moved, first, held)
            if lower < cost:
                break
            damping *= 4
        else:
            break
        gain, theta, found, cost, damping = cost - lower, moved, tried, lower, damping / 6
        if gain < 1e-6 * cost:
            break
    return theta
