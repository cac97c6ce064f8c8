"""How demand moves through a week: weights by hour, scaled to a mean rate; and flash crowds on top.

In: hours of work, or counts by hour.    Out: Profile: the rate at a second, its peak, a day's busiest hour.
Idea: within an hour the rate stands still, so totals are exact and a trace of any length can be drawn hour by hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, exp, pi

from infrascale.errors import ScenarioError
from infrascale.units import HOUR_S

HOURS = 7 * 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """A crowd that comes at `at_s` and multiplies the rate by `times` for `seconds`."""

    at_s: float
    seconds: float
    times: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`weights` by hour of a week that starts on Monday at 0:00, in any unit."""

    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        bad = [w for w in self.weights if not 0 <= w < float("inf")]
        if len(self.weights) != HOURS or bad or not sum(self.weights):
            raise ScenarioError(
                "this is no weekly profile",
                why=f"{len(self.weights)} weights, {len(bad)} of them bad; {HOURS} of 0 or more are needed, not all 0",
                fix="give one weight for each hour, Monday 0:00 first",
            )

    def factor(self, at_s: float) -> float:
        """Rate at a second of the week over the week's mean rate."""
        return self.weights[int(at_s // HOUR_S) % HOURS] * HOURS / sum(self.weights)

    @property
    def peak_factor(self) -> float:
        """Busiest hour over the mean hour of the week: 4.2 for 40 equal hours."""
        return max(self.weights) * HOURS / sum(self.weights)

    @property
    def peak_hour_fraction(self) -> float:
        """Share of its day that falls into the busiest hour, on the day that has it."""
        day = self.weights.index(max(self.weights)) // 24
        return max(self.weights) / sum(self.weights[24 * day : 24 * day + 24])


def steady() -> Profile:
    return Profile(weights=(1.0,) * HOURS)


def office_hours(opens: int, closes: int, days: int = 5, outside_fraction: float = 0.0) -> Profile:
    """Equal hours from `opens` to `closes` on the first `days` of a week, `outside_fraction` of that at other times.

    9 to 17, five days, nothing outside: each of 40 hours has 1/40 of a week, and 1/8 of its day.
    """
    if not (0 <= opens < closes <= 24 and 1 <= days <= 7):
        raise ScenarioError(
            f"{opens} to {closes} on {days} days are no office hours",
            why="hours run from 0 to 24, the opening before the closing, days from 1 to 7",
            fix="for example 9 to 17 on 5 days",
        )
    hours = ((hour // 24 < days) and opens <= hour % 24 < closes for hour in range(HOURS))
    return Profile(weights=tuple(1.0 if is_open else outside_fraction for is_open in hours))


def rounded_day(peak_hour_fraction: float, peak_hour: int = 14) -> Profile:
    """Every day alike, round about its busiest hour, which has this share of the day: 1/24 is an even day.

        weight of hour h = exp(k · cos 2π(h − peak)/24), k bisected       (von Mises' curve: one number shapes it)

    A share of 0.15: k = 2.38, and the quietest hour of the night has 0.13 % of the day.
    """
    if not 1 / 24 - 1e-9 <= peak_hour_fraction <= 0.9:
        raise ScenarioError(
            f"{peak_hour_fraction:g} of a day in its peak hour cannot be",
            why="an even day has 1/24 in each hour, and a rounded one less than 0.9 in any",
            fix="for example 0.15",
        )

    def weights(k: float) -> list[float]:
        return [exp(k * (cos(2 * pi * (hour - peak_hour) / 24) - 1)) for hour in range(24)]

    low, high = 0.0, 200.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 1 / sum(weights(middle)) < peak_hour_fraction else (low, middle)
    return Profile(weights=tuple(weights(low)) * 7)


def profile_of(arrival_s: Sequence[float]) -> Profile:
    """The profile of arrivals that were seen; second 0 is a Monday at 0:00."""
    counts = [0.0] * HOURS
    for at_s in arrival_s:
        counts[int(at_s // HOUR_S) % HOURS] += 1
    return Profile(weights=tuple(counts))
