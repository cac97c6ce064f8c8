"""How many requests there are: a number in flight, a rate, or a population, tied by Little's law.

    in flight = request_per_s · seconds a request stays

A demand keeps the form it was given in. Only a number in flight is independent of the speed of the service; a rate
piles up when the service is slow, and users who think between requests hold each other back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from infrascale.units import HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """People who might use the service. Peak rate = agents · adoption · requests a day · peak-hour share / 3600 s."""

    agents: float
    adoption_fraction: float
    requests_per_user_day: float
    peak_hour_fraction: float  # share of a day's requests that falls into its busiest hour

    @property
    def request_per_s(self) -> float:
        """2.5 million · 20 % · 10 a day · 15 % in the peak hour: 208 requests/s."""
        daily = self.agents * self.adoption_fraction * self.requests_per_user_day
        return daily * self.peak_hour_fraction / HOUR_S

    def in_year(self, year: int, growth_fraction: float, adoption_growth_fraction: float = 0.0) -> Population:
        """The same people `year` years on: each asks more, and more of them ask, up to all.

        requests a day · (1 + growth)^year,     adoption · (1 + adoption growth)^year ≤ 1
        """
        return replace(
            self,
            requests_per_user_day=self.requests_per_user_day * (1 + growth_fraction) ** year,
            adoption_fraction=min(1.0, self.adoption_fraction * (1 + adoption_growth_fraction) ** year),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Exactly one of three: `in_flight_requests`; `request_per_s`; or `users` with `think_s` between requests."""

    in_flight_requests: float | None = None
    request_per_s: float | None = None
    users: float | None = None
    think_s: float | None = None

    @property
    def amount(self) -> float:
        """In its own unit: requests in flight, requests a second, or users."""
        return next(x for x in (self.in_flight_requests, self.request_per_s, self.users) if x is not None)

    def holding(self, requests: float, stays_s: float) -> Demand:
        """As much of the same kind as puts `requests` in flight, each staying `stays_s`: `in_flight` turned round."""
        if self.in_flight_requests is not None:
            return Demand(in_flight_requests=requests)
        if self.request_per_s is not None:
            return Demand(request_per_s=requests / stays_s)
        assert self.think_s is not None
        return Demand(users=requests * (stays_s + self.think_s) / stays_s, think_s=self.think_s)

    def to_slower(self, factor: float) -> Demand:
        """The same as a service sees it that takes `factor` times as long for everything: more comes meanwhile."""
        return replace(
            self,
            request_per_s=None if self.request_per_s is None else self.request_per_s * factor,
            think_s=None if self.think_s is None else self.think_s / factor,
        )


def grown(demand: float, growth_fraction: float, years: float) -> float:
    """Demand that grows by the same share every year: 1000 at 20 % a year are 1440 in two years."""
    return demand * (1 + growth_fraction) ** years


def in_flight(demand: Demand, residence_s: float) -> float:
    """Requests in the system when each stays `residence_s` (Little's law).

    1000 users who think 60 s and wait 20 s: 1000 · 20 / 80 = 250.
    """
    if demand.in_flight_requests is not None:
        return demand.in_flight_requests
    if demand.request_per_s is not None:
        return demand.request_per_s * residence_s
    assert demand.users is not None and demand.think_s is not None
    return demand.users * residence_s / (residence_s + demand.think_s)
