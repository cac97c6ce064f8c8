"""The shape of traffic: hours, crowds, conversations, closed loops, a trace; drawn with a seed.

In: Pattern, the rate of the busiest hour, mean lengths.    Out: Traffic.
Idea: a plan is made for the busiest hour, so a profile carries the planned rate in its busiest hour and less at others.
Needs NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING

from infrascale.errors import ScenarioError
from infrascale.units import HOUR_S
from infrascale.workload.arrivals import arrival_times
from infrascale.workload.lengths import Lengths
from infrascale.workload.profile import Flash, Profile
from infrascale.workload.traffic import Conversations, Traffic, conversations, single_turns
from infrascale.workload.workload import Workload

if TYPE_CHECKING:
    import numpy as np

MOST_REQUESTS = 30_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What is known of the traffic beyond its rate and mean lengths; by default a steady stream of single requests.

    `from_s`: second 0 within the profile's week. `turns` of a conversation on average, `turn_think_s` between them,
    after `system_tokens` that all conversations share. `clients` always come again `think_s` after their answer: a
    closed loop. `lengths`: pairs of prompt and answer as they were seen. `replay`: a trace in place of all that,
    `speedup` times faster. `urgent_fraction` of the requests go first.
    """

    profile: Profile | None = None
    from_s: float = 0.0
    flashes: tuple[Flash, ...] = ()
    turns: float = 1.0
    turn_think_s: float = 30.0
    system_tokens: int = 0
    clients: int | None = None
    think_s: float = 0.0
    lengths: Traffic | None = None
    replay: Traffic | None = None
    speedup: float = 1.0
    urgent_fraction: float = 0.0

    @property
    def is_steady(self) -> bool:
        """Whether the traffic has an equilibrium that the analytic queue knows."""
        return self.profile is None and not self.flashes and self.turns == 1 and self.replay is None

    @property
    def least_s(self) -> float:
        """How long a simulation must be to show the whole shape."""
        ends = max((flash.at_s + 2 * flash.seconds for flash in self.flashes), default=0.0)
        return max(ends, 86_400.0 if self.profile else 0.0)


def draw(
    pattern: Pattern,
    *,
    request_per_s: float,
    seconds: float,
    workload: Workload,
    arrival_cv: float,
    answer_s: float,
    most_tokens: int,
    rng: np.random.Generator,
) -> Traffic:
    """All requests of [0, seconds). `answer_s`: the least time of an answer, for how often a client comes again."""
    if pattern.replay is not None:
        return _fitting(replayed(pattern.replay, pattern.speedup, seconds), most_tokens)
    if pattern.clients is None:
        _bounded(_expected(pattern, request_per_s, seconds))
    isl = Lengths(mean_tokens=workload.isl_tokens, cv=workload.isl_cv, most_tokens=most_tokens // 2)
    osl = Lengths(mean_tokens=workload.osl_tokens, cv=workload.osl_cv, most_tokens=most_tokens // 2)
    if pattern.clients is not None:
        each = int(seconds / (0.8 * pattern.think_s + answer_s)) + 3
        _bounded(pattern.clients * each)
        found = _closed(pattern, each, pattern.think_s + answer_s, isl, osl, rng)
    else:
        mean = request_per_s / (pattern.profile.peak_factor if pattern.profile else 1.0) / pattern.turns
        starts = arrival_times(mean, seconds, rng, arrival_cv, pattern.profile, pattern.flashes, pattern.from_s)
        if pattern.turns > 1:
            return _fitting(conversations(starts, _habits(pattern, workload, osl), rng), most_tokens)
        found = single_turns(starts, isl, osl, rng)
    return _as_seen(found, pattern.lengths, most_tokens, rng) if pattern.lengths is not None else found


def replayed(trace: Traffic, speedup: float, seconds: float) -> Traffic:
    """A trace, faster or slower, up to a time."""
    quick = replace(trace, arrival_s=trace.arrival_s / speedup)
    return quick.only(quick.arrival_s < seconds)


def _expected(pattern: Pattern, request_per_s: float, seconds: float) -> float:
    """Requests in all, crowds left out: hour by hour where there is a profile."""
    if pattern.profile is None:
        return request_per_s * seconds
    busy = sum(
        pattern.profile.factor(pattern.from_s + at_s) * min(HOUR_S, seconds - at_s)
        for at_s in range(0, ceil(seconds), int(HOUR_S))
    )
    return request_per_s / pattern.profile.peak_factor * busy


def _bounded(count: float) -> None:
    if count > MOST_REQUESTS:
        raise ScenarioError(
            f"{count:.3g} requests are too many", why=f"at most {MOST_REQUESTS:,}", fix="give fewer --seconds"
        )


def _habits(pattern: Pattern, workload: Workload, answer: Lengths) -> Conversations:
    """Questions such that the prompts, dialogue so far included, have the mean length that was asked for.

    isl = system + T·question + (T − 1)·osl        T: mean turns, geometric
    """
    said = pattern.system_tokens + (pattern.turns - 1) * workload.osl_tokens
    question = (workload.isl_tokens - said) / pattern.turns
    if question < 1:
        raise ScenarioError(
            f"prompts of {workload.isl_tokens:g} tokens are too short for {pattern.turns:g} turns",
            why=f"the dialogue before the last question already takes {said:,.0f}",
            fix=f"give an isl above {said + pattern.turns:,.0f}, fewer turns or a shorter osl",
        )
    return Conversations(
        turns=pattern.turns,
        question=Lengths(mean_tokens=question, cv=workload.isl_cv),
        answer=answer,
        think_s=pattern.turn_think_s,
        system_tokens=pattern.system_tokens,
    )


def _closed(
    pattern: Pattern, each: int, round_s: float, isl: Lengths, osl: Lengths, rng: np.random.Generator
) -> Traffic:
    """Clients that start spread over one round and then come again and again."""
    import numpy as np

    clients = pattern.clients or 0
    count = clients * each
    starts = np.repeat(rng.random(clients) * round_s, each)
    found = single_turns(starts, isl, osl, rng)
    follows = np.where(np.arange(count) % each == each - 1, -1, np.arange(1, count + 1))
    think = rng.exponential(pattern.think_s, count) if pattern.think_s else np.zeros(count)
    return replace(found, follows=follows, think_s=think)


def _as_seen(found: Traffic, seen: Traffic, most_tokens: int, rng: np.random.Generator) -> Traffic:
    """The same arrivals with lengths drawn in pairs, so that long prompts keep their answers."""
    usable = _fitting(seen, most_tokens)
    which = rng.integers(0, len(usable), len(found))
    return replace(found, isl_tokens=usable.isl_tokens[which], osl_tokens=usable.osl_tokens[which])


def _fitting(found: Traffic, most_tokens: int) -> Traffic:
    """Without requests beyond the model's context, which an engine refuses."""
    fits = found.isl_tokens + found.osl_tokens <= most_tokens
    if not fits.any():
        raise ScenarioError(
            "no request fits the model", why=f"its context ends at {most_tokens:,} tokens", fix="a model with more"
        )
    return found if fits.all() else found.only(fits)
