"""Constants held to their priors: the robust fit that several kinds of measured rows share.

In: rows that predict themselves from constants, priors with their spreads (log).    Out: the constants by name.
Idea: least squares on log ratios with a loss that is linear where an error is large; the priors count as `HELD` rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from infrascale.calibration.columns import Floats

HELD, SCALE = 16.0, 0.1
Priors = Mapping[str, tuple[float, float]]  # name: value and spread of its logarithm


class Rows(Protocol):
    """Measured rows; `numbers` holds what was measured by name."""

    @property
    def numbers(self) -> Mapping[str, Floats]: ...

    def predicted(self, values: Mapping[str, float]) -> Floats: ...


def fit(rows: Rows, measure: str, priors: Priors, kept: Floats) -> dict[str, float]:
    """The constants that the rows kept and the priors agree on best."""
    from scipy.optimize import least_squares

    start = np.log([prior for prior, _ in priors.values()])
    spread = np.array([wide for _, wide in priors.values()])

    def named(logs: Floats) -> dict[str, float]:
        return dict(zip(priors, (float(value) for value in np.exp(logs)), strict=True))

    def errors(logs: Floats) -> Floats:
        found = np.log(rows.predicted(named(logs)) / rows.numbers[measure])[kept] / SCALE
        robust = np.sign(found) * np.sqrt(2 * (np.sqrt(1 + found**2) - 1))  # soft_l1's loss
        return np.concatenate([robust, HELD**0.5 * (logs - start) / spread])

    return named(least_squares(errors, start, diff_step=1e-4).x)


def left_out(rows: Rows, measure: str, priors: Priors, names: Floats) -> Floats:
    """What is predicted of every row by constants fitted without the rows of its name (its model, its GPU)."""
    found = np.zeros(len(names))
    for name in sorted(set(names)):
        out = names == name
        found[out] = rows.predicted(fit(rows, measure, priors, ~out))[out]
    return found
