"""Intervals from residuals: the split-conformal quantiles of each regime, widened until new models are covered.

In: Residuals.    Out: Spread per regime key, and the coverage of models that took no part.

Rows of one model resemble each other, so the quantiles of the rows alone are too narrow for a model never seen. Each
regime's two ends are therefore moved out by one factor, the least with which the models left out, one after the
other, are covered at the stated rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from statistics import median

from infrascale.calibration.residuals import Residual
from infrascale.parsing.gpus import gpu
from infrascale.uncertainty import COVERAGE, Spread

#: Rows and models below which a regime takes its interval from a wider one.
LEAST_ROWS, LEAST_MODELS = 30, 2
#: Factors tried: beyond twice the quantiles' width an interval says nothing.
WIDENINGS = tuple(1 + step / 20 for step in range(21))


def spreads(residuals: Iterable[Residual]) -> dict[str, Spread]:
    """The interval of every regime, particular or general, with enough rows of enough models."""
    groups: dict[str, list[Residual]] = defaultdict(list)
    for residual in residuals:
        if residual.regime.assumed:
            for key in residual.regime.assumed_keys(residual.measure):
                groups[key].append(residual)
            continue
        own = {key for key in residual.regime.keys(residual.measure) if key.startswith(residual.measure)}
        if residual.regime.told not in ("", "datasheet"):
            own.discard(residual.measure)  # the most general speaks for those that tell all
        for key in own:
            groups[key].append(residual)
    return {
        key: spread(group, alike(key))
        for key, group in sorted(groups.items())
        if len(group) >= LEAST_ROWS and (len({r.model for r in group}) >= LEAST_MODELS or key.count("/") == 0)
    }


Of = Callable[[Residual], str]


def model_of(residual: Residual) -> str:
    return residual.model


def alike(key: str) -> tuple[Of, ...]:
    """Whose rows resemble each other and are left out together: a model's; of chips unseen an architecture's too."""
    return (model_of, lambda r: gpu(r.gpu).architecture) if "/unseen" in key else (model_of,)


def spread(group: Sequence[Residual], alike: Sequence[Of] = (model_of,)) -> Spread:
    low, high = ends([-r.log_ratio for r in group], widening(group, alike))
    return Spread(low=min(low, 0.0), high=max(high, 0.0), rows=len(group))  # what is predicted lies inside


def widening(group: Sequence[Residual], alike: Sequence[Of] = (model_of,)) -> float:
    """The least with which all left out are covered; where none covers them, the least beyond which no more are.

    None at all where a quarter of the rows stays outside at any width: those models differ in kind, not in degree.
    """
    most, best = 0.0, WIDENINGS[0]
    for factor in WIDENINGS:
        covered = min(coverage_left_out(group, of, factor) for of in alike)
        if covered > most + 1e-9:
            most, best = covered, factor
        if covered >= COVERAGE:
            break
    return best if most >= 0.75 else WIDENINGS[0]


def coverage_left_out(group: Sequence[Residual], of: Of, widening: float) -> float:
    """Share of rows inside the interval that the rows of all others give; 1 where there are no others."""
    inside = 0
    for name in {of(r) for r in group}:
        others = [-r.log_ratio for r in group if of(r) != name]
        if not others:
            return 1.0
        low, high = ends(others, widening)
        inside += sum(low <= -r.log_ratio <= high for r in group if of(r) == name)
    return inside / len(group)


def ends(log_ratios: Sequence[float], widening: float = 1.0) -> tuple[float, float]:
    """Both ends, each missed by half of 1 − coverage, as far again from the median as `widening` says.

    The rank is that of split conformal prediction for a finite sample, ⌈(n + 1)·(1 + coverage)/2⌉.
    """
    ordered = sorted(log_ratios)
    rank = min(len(ordered), ceil((len(ordered) + 1) * (1 + COVERAGE) / 2))
    middle = median(ordered)
    return middle - widening * (middle - ordered[-rank]), middle + widening * (ordered[rank - 1] - middle)
