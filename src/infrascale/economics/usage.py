"""What a month brings: requests and tokens, from the peak that the plan is for and the shape of a day.

In: Scenario, Candidate, Day.    Out: Usage.
GPUs are reserved round the clock and sized for the peak hour, so a token costs what the quiet hours make it cost.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.planning import Candidate, Scenario
from infrascale.units import HOUR_S
from infrascale.workload import in_flight

HOURS_PER_DAY = 24
DAYS_PER_MONTH = 365.25 / 12
HOURS_PER_MONTH = DAYS_PER_MONTH * HOURS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Share of a day's requests in each of its 24 hours (they sum to one), on `active_days` of a month."""

    hour_fractions: tuple[float, ...]
    active_days: float = DAYS_PER_MONTH

    @property
    def peak_fraction(self) -> float:
        return max(self.hour_fractions)


def peaked_day(peak_fraction: float, active_days: float = DAYS_PER_MONTH) -> Day:
    """A day of which only the peak hour is known: the rest is spread evenly over the other 23."""
    peak = max(peak_fraction, 1 / HOURS_PER_DAY)
    return Day(hour_fractions=(peak, *[(1 - peak) / 23] * 23), active_days=active_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One month. `users`: people connected at the peak, where the scenario counts people."""

    peak_request_per_s: float
    requests: float
    input_tokens: float
    cached_tokens: float
    output_tokens: float
    day: Day
    users: float | None = None

    @property
    def utilisation_fraction(self) -> float:
        """Mean rate over the whole month, nights included, as a share of the peak."""
        return self.requests / (self.peak_request_per_s * HOURS_PER_MONTH * HOUR_S)

    @property
    def million_tokens(self) -> float:
        return (self.input_tokens + self.output_tokens) / 1e6


def peak_request_per_s(scenario: Scenario, candidate: Candidate) -> float:
    """Requests a second in the peak hour, without headroom (Little's law where people or requests in flight are given).

    Requests in flight are taken to stay as long as promised, so that every way and every API serves the same requests:
    5 000 users, 0.147 in flight each for 2 s + 400 / 20 s: 5 000 · 0.147 / 22 = 33.4.
    Users who think come back sooner where they are answered sooner.
    """
    demand, promise = scenario.demand, scenario.promise
    if demand.request_per_s is not None:
        return demand.request_per_s
    stays_s = candidate.performance.e2e_s.mean_s
    if demand.in_flight_requests is not None:
        stays_s = promise.ttft_s + scenario.workload.osl_tokens / promise.token_per_s
    return in_flight(demand, stays_s) / stays_s


def monthly_usage(scenario: Scenario, candidate: Candidate, day: Day) -> Usage:
    """Requests of a month: peak rate · 3600 s / share of the peak hour · active days.

    1 request/s, 15 % in the peak hour, 30.4375 days: 1 · 3600 / 0.15 · 30.4375 = 730 500.
    """
    rate = peak_request_per_s(scenario, candidate)
    requests = rate * HOUR_S / day.peak_fraction * day.active_days
    load = scenario.workload
    return Usage(
        peak_request_per_s=rate,
        requests=requests,
        input_tokens=requests * load.isl_tokens,
        cached_tokens=requests * load.cached_tokens,
        output_tokens=requests * load.osl_tokens,
        day=day,
        users=scenario.users,
    )
