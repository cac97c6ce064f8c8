"""Serving: a deployment under a workload. Knows step times, no FLOP."""

from infrascale.serving.disaggregated import Pool, disaggregated
from infrascale.serving.performance import Performance, Saturated, Spread
from infrascale.serving.steady_state import (
    Limits,
    Regime,
    Steps,
    Waves,
    closed_loop,
    limits_of,
    open_loop,
    steps,
    steps_until_seen,
    tpot_s,
)

__all__ = [
    "Limits",
    "Performance",
    "Pool",
    "Regime",
    "Saturated",
    "Spread",
    "Steps",
    "Waves",
    "closed_loop",
    "disaggregated",
    "limits_of",
    "open_loop",
    "steps",
    "steps_until_seen",
    "tpot_s",
]
