"""Flags and the [traffic] table of a scenario.toml become Circumstances of a simulation.

[traffic]
hours = "9-17"                # office hours; the scenario's rate is that of the busiest hour
flash = ["3600:300:4"]        # at second 3600, for 300 s, four times the rate
turns = 4                     # conversations
dies = ["1800:600"]           # a replica at 1800 s, back 600 s later
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale.errors import ScenarioError
from infrascale.parsing.scenarios import usage_table
from infrascale.simulating.circumstances import Autoscaler, Circumstances, Death, Late, Speculation
from infrascale.units import HOUR_S
from infrascale.workload.pattern import Pattern
from infrascale.workload.profile import HOURS, Flash, Profile, office_hours
from infrascale.workload.traffic import Traffic

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Span = Annotated[float, Field(ge=0, le=4e6, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Asked(BaseModel):
    """The keys of [traffic]; those of `infrascale simulate` are the same, with dashes."""

    model_config = ConfigDict(extra="forbid")

    hours: str | None = None
    days: Annotated[int, Field(ge=1, le=7)] = 5
    outside: Share = 0.0
    weights: list[Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]] = []
    usage: str | None = None
    start: str | None = None
    flash: list[str] = []
    turns: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 1.0
    turn_think_s: Span = 30.0
    system_tokens: Annotated[int, Field(ge=0, le=1 << 20)] = 0
    clients: Annotated[int, Field(ge=1, le=10**6)] | None = None
    lengths_from: str | None = None
    replay: str | None = None
    speedup: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = 1.0
    urgent: Share = 0.0
    policy: str = "round-robin"
    replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    prefill_replicas: Annotated[int, Field(ge=1, le=10_000)] | None = None
    seconds: Annotated[float, Field(ge=1, le=4e6, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    dies: list[str] = []
    late: str | None = None
    autoscale: str | None = None
    speculative: str | None = None


def asked_of(values: Mapping[str, Any]) -> Asked:
    try:
        return Asked.model_validate({key: value for key, value in values.items() if value not in (None, [])})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        known = ", ".join(sorted(Asked.model_fields))
        fix = f"known keys: {known}" if first["type"] == "extra_forbidden" else f"give {key} another value"
        raise ScenarioError(f"{key} = {str(first.get('input'))[:40]} cannot be", why=first["msg"], fix=fix) from None


def circumstances(asked: Asked, replay: Traffic | None = None) -> Circumstances:
    """What was asked, its contradictions refused. `replay`: the trace, already read."""
    _check(asked)
    return Circumstances(
        pattern=Pattern(
            profile=_profile(asked),
            from_s=_start_s(asked),
            flashes=tuple(Flash(at_s=a, seconds=s, times=t) for a, s, t in (_three(w) for w in asked.flash)),
            turns=asked.turns,
            turn_think_s=asked.turn_think_s,
            system_tokens=asked.system_tokens,
            clients=asked.clients,
            lengths=trace(asked.lengths_from) if asked.lengths_from else None,
            replay=replay or (trace(asked.replay) if asked.replay else None),
            speedup=asked.speedup,
            urgent_fraction=asked.urgent,
        ),
        policy=asked.policy,
        replicas=asked.replicas,
        prefill_replicas=asked.prefill_replicas,
        seconds=asked.seconds,
        seed=asked.seed,
        deaths=tuple(map(_death, asked.dies)),
        late=_late(asked.late),
        autoscaler=_autoscaler(asked.autoscale),
        speculation=_speculation(asked.speculative),
    )


def trace(path: str) -> Traffic:
    """A trace, where NumPy is there to hold it."""
    from infrascale.parsing.traces import read_trace

    return read_trace(path)


def demanding(keys: Mapping[str, Any], asked: Asked, seen: Traffic | None) -> dict[str, Any]:
    """Scenario keys with the demand of a trace or of clients, where none is given: the trace's busiest ten minutes,
    and its lengths. A population with a profile has its peak hour from there."""
    found = dict(keys)
    profile = _profile(asked)
    if "agents" in found and profile is not None:
        found.setdefault("peak_hour", profile.peak_hour_fraction)
    if not {"users", "request_per_s", "agents"} & set(found):
        if seen is not None:
            found["request_per_s"] = seen.busiest_request_per_s * asked.speedup
        elif asked.clients is not None:
            found |= {"users": asked.clients, "think_s": 0.0}
    if seen is None:
        return found
    lengths = seen.workload
    if not {"isl", "osl"} & set(found):
        found |= {"isl": lengths.isl_tokens, "osl": lengths.osl_tokens}
        found |= {"isl_cv": min(10.0, lengths.isl_cv), "osl_cv": min(10.0, lengths.osl_cv)}
    return found


def _check(asked: Asked) -> None:
    shapes = {
        "replay": asked.replay is not None,
        "clients": asked.clients is not None,
        "hours, weights, usage or flash": bool(asked.hours or asked.weights or asked.usage or asked.flash),
    }
    given = [name for name, there in shapes.items() if there]
    if len(given) > 1:
        _refuse(" and ".join(given), "each says by itself when requests come", "keep one")
    if asked.turns > 1 and (asked.replay or asked.clients or asked.lengths_from):
        _refuse("turns", "a trace, clients or lengths as seen say themselves what a request is", "leave turns out")
    if asked.autoscale and (asked.dies or asked.late):
        _refuse("autoscale with dies or late", "the autoscaler alone decides who is there", "keep one")


def _refuse(what: str, why: str, fix: str) -> None:
    raise ScenarioError(f"{what} cannot be simulated together", why=why, fix=fix)


def _profile(asked: Asked) -> Profile | None:
    if sum(map(bool, (asked.hours, asked.weights, asked.usage))) > 1:
        _refuse("hours, weights and usage", "each is a profile", "keep one")
    if asked.usage:
        return _seen(asked.usage)
    if asked.weights:
        if len(asked.weights) not in (24, HOURS):
            raise ScenarioError(
                f"{len(asked.weights)} weights are no profile",
                why="a day has 24 hours and a week 168",
                fix="give 24 or 168 of them",
            )
        return Profile(weights=tuple(asked.weights) * (HOURS // len(asked.weights)))
    if asked.hours is None:
        return None
    opens, closes = _numbers("hours", asked.hours, 2, 2, "OPENS-CLOSES, 9-17", separator="-")
    return office_hours(int(opens), int(closes), asked.days, asked.outside)


def _seen(path: str) -> Profile:
    """The week of a log, from the workload file that `infrascale usage` wrote of it: its hours times its weekdays.

    What the log never covered, a weekday or an hour, is taken to be like those that it did.
    """
    found = usage_table(path).get("profile")
    sides = [found.get(key) if isinstance(found, dict) else None for key in ("by_hour", "by_weekday")]
    rates = []
    for side, length in zip(sides, (24, 7), strict=True):
        numbers = [float(n) for n in side if isinstance(n, int | float)] if isinstance(side, list) else []
        seen = [n for n in numbers if 0 <= n < 1e12]
        if len(numbers) != length or not sum(seen) or any(n < 0 for n in numbers):
            raise ScenarioError(
                f"{path[:60]} tells no week",
                why="it has no [usage.profile] of 24 hours and 7 weekdays",
                fix="write it with infrascale usage LOG -o workload.toml",
            )
        mean = sum(seen) / len(seen)
        rates.append([n if 0 <= n < 1e12 else mean for n in numbers])
    hours, days = rates
    return Profile(weights=tuple(hour * day for day in days for hour in hours))


def _start_s(asked: Asked) -> float:
    """Second 0 within the week; by default Monday at midnight."""
    if asked.start is None:
        return 0.0
    found = re.fullmatch(r"\s*([a-z]{3})[a-z]*\s+(\d{1,2})(?::(\d{2}))?\s*", asked.start.lower())
    if not found or found[1] not in DAYS or int(found[2]) > 23 or int(found[3] or 0) > 59:
        raise ScenarioError(f"start = {asked.start[:30]!r} is no hour", why="it has no day and hour", fix='"mon 8:30"')
    return (24 * DAYS.index(found[1]) + int(found[2])) * HOUR_S + 60.0 * int(found[3] or 0)


def _three(word: str) -> tuple[float, float, float]:
    at_s, seconds, times = _numbers("flash", word, 3, 3, "AT:SECONDS:TIMES, 3600:300:4")
    if times > 1000:
        raise ScenarioError(f"a crowd {times:g} times as large", why="at most 1000", fix="mend flash")
    return at_s, seconds, times


def _death(word: str) -> Death:
    at_s, *back_s = _numbers("dies", word, 1, 2, "SECOND or SECOND:BACK_AFTER, 1800:600")
    return Death(at_s=at_s, back_after_s=back_s[0] if back_s else None)


def _late(word: str | None) -> Late | None:
    if word is None:
        return None
    replicas, until_s = _numbers("late", word, 2, 2, "REPLICAS:UNTIL, 2:600")
    return Late(replicas=int(replicas), until_s=until_s)


def _autoscaler(word: str | None) -> Autoscaler | None:
    if word is None:
        return None
    numbers = _numbers("autoscale", word, 2, 3, "LEAST:TARGET or LEAST:TARGET:LAG, 2:40:300")
    if numbers[0] < 1 or numbers[1] <= 0:
        raise ScenarioError(f"autoscale = {word[:30]}", why="it needs one replica and a target", fix="2:40:300")
    lag_s = numbers[2] if len(numbers) > 2 else Autoscaler.__dataclass_fields__["lag_s"].default
    return Autoscaler(least=int(numbers[0]), target_requests=numbers[1], lag_s=lag_s)


def _speculation(word: str | None) -> Speculation | None:
    if word is None:
        return None
    numbers = _numbers("speculative", word, 2, 3, "DRAFTS:ACCEPTANCE or DRAFTS:ACCEPTANCE:COST, 3:0.7:0.05")
    if not (1 <= numbers[0] <= 32 and numbers[1] <= 1 and (len(numbers) < 3 or numbers[2] <= 10)):
        raise ScenarioError(f"speculative = {word[:30]}", why="1 to 32 drafts, each accepted at 0 … 1", fix="3:0.7")
    return Speculation(
        draft_tokens=int(numbers[0]),
        acceptance_fraction=numbers[1],
        draft_fraction=numbers[2] if len(numbers) > 2 else 0.0,
    )


def _numbers(key: str, word: str, least: int, most: int, form: str, separator: str = ":") -> list[float]:
    try:
        found = [float(part) for part in word.split(separator)]
    except ValueError:
        found = []
    if not least <= len(found) <= most or not all(0 <= n < 1e9 for n in found):
        raise ScenarioError(f"{key} = {word[:30]!r} cannot be", why="it is not of this form", fix=form)
    return found
