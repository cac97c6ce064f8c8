"""Sensitivity: which input moves the answer, and how sure the number of GPUs and the cost are.

In: a Question, relative spreads, an rng.    Out: Swings, the widest first; a Distribution to choose a risk from.

    tornado       each input alone by ± 10 %, planned again
    Monte Carlo   inputs drawn log-normally around their values, prices evenly within their span, and an error of the
                  predicted speed: real step times are the predicted ones · e^ε, ε of the plan's own 90 % interval
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, exp, log
from random import Random
from typing import Any

from infrascale import api
from infrascale.economics import Span
from infrascale.economics.usage import HOURS_PER_MONTH
from infrascale.errors import ScenarioError
from infrascale.parsing.scenarios import Question, scenario

#: A normal variable stays within so many standard deviations of its mean in 90 % of the draws.
WITHIN_90 = 1.645
MOVED = ("users", "requests_per_user", "requests_per_user_hour", "think_s", "request_per_s", "agents", "adoption",
         "requests_per_day", "peak_hour", "isl", "osl", "prefix_hit", "tokens_per_s", "ttft", "headroom")  # fmt: skip

#: Of them those that have a default, which must stand in the question before it is made harder.
ASSUMED = ("tokens_per_s", "requests_per_user_hour")

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """GPUs when one input is lowered and raised by the same share; None: infeasible."""

    key: str
    value: float
    low_gpus: int | None
    high_gpus: int | None
    base_gpus: int

    @property
    def width(self) -> float:
        ends = [self.low_gpus, self.high_gpus, self.base_gpus]
        return float("inf") if None in ends else max(ends) - min(ends)  # type: ignore[type-var, operator]


def gpus_of(keys: Mapping[str, Any], calibration: str | None = None) -> int | None:
    best = api.plan(calibration=calibration, **keys).best
    return best.gpus if best else None


def inputs_of(asked: Question) -> dict[str, float]:
    """The numbers of a question that may be moved: those given, and the defaults in force."""
    found = {key: value for key in MOVED if isinstance(value := getattr(asked, key), int | float) and value > 0}
    if asked.tokens_per_s is None and asked.tpot_s is None:
        found["tokens_per_s"] = 20.0
    if (hourly := scenario(asked).requests_per_user_hour) is not None:
        found["requests_per_user_hour"] = hourly
    if asked.agents is None:
        for key in ("adoption", "peak_hour"):
            found.pop(key, None)
    return found


def _legal(key: str, value: float) -> float:
    return min(1.0, value) if key in ("adoption", "peak_hour", "requests_per_user", "prefix_hit") else value


def tornado(
    asked: Question, share: float = 0.1, progress: Progress | None = None, calibration: str | None = None
) -> list[Swing]:
    """Each input moved alone by ± `share`, the widest swing first."""
    keys = asked.model_dump(exclude_none=True)
    base = gpus_of(keys, calibration)
    if base is None:
        raise ScenarioError(
            "nothing keeps the promise", why="there is no answer to move", fix="infrascale plan says why"
        )
    found, inputs = [], inputs_of(asked)
    for done, (key, value) in enumerate(inputs.items(), 1):
        moved = (keys | {key: _legal(key, value * factor)} for factor in (1 - share, 1 + share))
        low, high = (gpus_of(one, calibration) for one in moved)
        found.append(Swing(key=key, value=value, low_gpus=low, high_gpus=high, base_gpus=base))
        if progress:
            progress(done, len(inputs))
    return sorted(found, key=lambda swing: -swing.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Draws in order of size. `infeasible`: draws that no number of GPUs served, counted as needing infinitely many."""

    gpus: tuple[float, ...]
    costs: tuple[float, ...]
    currency: str | None
    infeasible: int

    def gpus_at(self, risk: float) -> float:
        """GPUs that suffice but for a share `risk` of the draws."""
        return quantile(self.gpus, 1 - risk)

    def cost_at(self, risk: float) -> float:
        return quantile(self.costs, 1 - risk)


def quantile(ordered: tuple[float, ...], share: float) -> float:
    """The smallest value that at least `share` of the draws do not exceed. Of 1 … 10, 0.9: 9."""
    place = ceil(share * len(ordered) - 1e-9) - 1
    return ordered[min(len(ordered) - 1, max(0, place))]


def monte_carlo(
    asked: Question, spreads: Mapping[str, float], rng: Random, draws: int = 200, price: Span | None = None,
    model_error: float | None = None, progress: Progress | None = None, calibration: str | None = None,
) -> Distribution:  # fmt: skip
    """`spreads`: of each uncertain input, the standard deviation of its logarithm (0.2: about ± 20 %).

    `model_error`: the same of the predicted speed; None: as far as measurements lay from predictions like the plan's.
    """
    inputs = inputs_of(asked)
    unknown = [key for key in spreads if key not in inputs]
    if unknown:
        raise ScenarioError(
            f"{unknown[0]} cannot vary", why="the question has no such number", fix=f"one of {', '.join(inputs)}"
        )
    keys, gpus, costs, infeasible = asked.model_dump(exclude_none=True), [], [], 0
    ends = _ends(asked, calibration) if model_error is None else (-WITHIN_90 * model_error, WITHIN_90 * model_error)
    for done in range(1, draws + 1):
        drawn = {key: _legal(key, inputs[key] * exp(rng.gauss(0, spread))) for key, spread in spreads.items()}
        slower = exp(_error(rng.gauss(0, 1), ends))
        asked_now = {key: inputs[key] for key in ASSUMED if key in inputs} | keys | drawn
        needed = gpus_of(_slower(asked_now, slower), calibration)
        hour = rng.uniform(price.low.amount, price.high.amount) if price else 0.0
        infeasible += needed is None
        count = float("inf") if needed is None else float(needed)
        gpus.append(count)
        costs.append(count * hour * HOURS_PER_MONTH)
        if progress:
            progress(done, draws)
    currency = price.currency.value if price else None
    return Distribution(gpus=tuple(sorted(gpus)), costs=tuple(sorted(costs)), currency=currency, infeasible=infeasible)


def _ends(asked: Question, calibration: str | None) -> tuple[float, float]:
    """Between which ln(real / predicted) of the time per token lies with 90 % confidence, for a question's plan."""
    found = api.plan(calibration=calibration, **asked.model_dump(exclude_none=True))
    sure = api.certainty(found, calibration=calibration)
    if found.best is None or sure is None:
        return 0.0, 0.0
    speed = 1 / found.scenario.promise.tpot_of(found.best.performance)
    slow, fast = sure.token_per_s
    return log(speed / fast), log(speed / slow)


def _error(deviations: float, ends: tuple[float, float]) -> float:
    """ε at so many standard deviations, either side reaching its own end: 5 % of the draws lie beyond each."""
    return deviations * (max(0.0, ends[1]) if deviations > 0 else max(0.0, -ends[0])) / WITHIN_90


def _slower(keys: dict[str, Any], factor: float) -> dict[str, Any]:
    """The question that the planner must answer if real steps take `factor` times the predicted: a harder promise.

    A promise of 20 tokens/s needs a predicted 20 · factor; a wait of 2 s a predicted 2 / factor; a rate of requests
    fills a replica as factor times the rate would.
    """
    found = dict(keys)
    found["ttft"] = found.get("ttft", 2.0) / factor
    if "tpot_s" in found:
        found["tpot_s"] = found["tpot_s"] / factor
        found.pop("tokens_per_s", None)
    else:
        found["tokens_per_s"] = found["tokens_per_s"] * factor
    for key in ("request_per_s", "requests_per_day", "requests_per_user_hour"):
        if key in found:
            found[key] = found[key] * factor
    if "think_s" in found:
        found["think_s"] = found["think_s"] / factor
    return found
