"""How sure a prediction is: 90 % intervals by regime, from measurements that were predicted and compared.

In: a prediction and the Regime it was made in.    Out: its low and high ends.
Idea: split conformal prediction. Within a regime, 5 % of the measured rows lay below the low ratio and 5 % above the
high one; both ratios are widened until models left out of the count are covered too (`calibration.conformal`).
A GPU without kernel tables, or one too few rows, falls back to a wider regime.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import exp

from infrascale import catalog

#: Architectures with measured kernel tables; the others take shared curves.
KNOWN = frozenset({"ampere", "ada", "hopper", "blackwell", "blackwell-rtx"})
COVERAGE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """What tells intervals apart. `kind`: closed, pools, open, static, saturated. `queued`: more in flight than run.

    `known`: the GPU's architecture has kernel tables.
    """

    kind: str
    engine: str
    queued: bool
    known: bool

    def keys(self, measure: str) -> tuple[str, ...]:
        """From particular to general; the first that the table has is used."""
        tables = "" if self.known else "/datasheet"
        state = "/queued" if self.queued else ""
        return (
            f"{measure}/{self.kind}/{self.engine}{state}{tables}",
            f"{measure}/{self.kind}{state}{tables}",
            f"{measure}/{self.kind}{tables}",
            f"{measure}{tables}",
            measure,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Log ratios of measured over predicted at the ends of the interval, and the rows behind them."""

    low: float
    high: float
    rows: int

    def around(self, value: float) -> tuple[float, float]:
        return value * exp(self.low), value * exp(self.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    spreads: Mapping[str, Spread]

    def of(self, measure: str, regime: Regime) -> Spread:
        """The interval of the most particular regime with evidence."""
        return next(self.spreads[key] for key in regime.keys(measure) if key in self.spreads)


@cache
def intervals() -> Intervals:
    """The shipped table."""
    raw = tomllib.loads((catalog.DATA / "intervals.toml").read_text(encoding="utf-8"))
    return Intervals(spreads={key: Spread(**value) for key, value in raw["spreads"].items()})
