"""What a person pays and where: prices, currency, terms, site and day together, and the bill of any candidate.

In: Quotes and choices.    Out: Bill for a Candidate, or None where its GPU has no price.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

from infrascale.economics.cost import Bill, Terms, bought, rented
from infrascale.economics.energy import Footprint, Site
from infrascale.economics.money import Currency, Rate
from infrascale.economics.prices import HOURLY, Offer, Quote, latest
from infrascale.economics.usage import Day, Usage
from infrascale.errors import ScenarioError
from infrascale.planning import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """`offers`: what to look for, in order of preference. `quotes`: the catalog's and the person's own.
    `clouds`: what named clouds ask for the same GPUs, each in its own currency.

    `tariff_on`, `hosting_on`, `upkeep_on`: the days of the catalog's prices of electricity, of a hosted kilowatt, and
    the oldest of its network, maintenance and staff, where those stand in for the person's.
    """

    quotes: tuple[Quote, ...]
    offers: tuple[Offer, ...]
    currency: Currency
    rate: Rate | None
    terms: Terms
    site: Site
    day: Day
    today: date
    tariff_on: date | None = None
    hosting_on: date | None = None
    upkeep_on: date | None = None
    clouds: tuple[Quote, ...] = ()

    def quote(self, gpu: str) -> Quote | None:
        return latest(self.quotes, gpu, self.offers, self.today)

    def payments(self, candidate: Candidate, usage: Usage, found: Footprint) -> tuple[Bill, ...]:
        """The same candidate rented on demand, reserved and bought, of these what has a price in this currency."""
        bills = []
        for offers in ((Offer.ON_DEMAND,), (Offer.RESERVED,), (Offer.SERVER, Offer.PURCHASE)):
            try:
                bill = replace(self, offers=offers).bill(candidate, usage, found)
            except ScenarioError:  # in the other currency, and no rate
                continue
            bills += [bill] if bill else []
        return tuple(bills)

    def hosts(self, candidate: Candidate, usage: Usage) -> tuple[Bill, ...]:
        """The same candidate rented from each named cloud that has its GPU, in that cloud's currency, without staff."""
        gpu = candidate.deployment.gpu.id
        return tuple(
            rented(candidate, usage, quote, Terms(), quote.price.currency, None)
            for quote in sorted(self.clouds, key=lambda q: (q.price.currency, q.price.middle.amount))
            if quote.gpu == gpu
        )

    def bill(self, candidate: Candidate, usage: Usage, found: Footprint) -> Bill | None:
        quote = self.quote(candidate.deployment.gpu.id)
        if quote is None:
            return None
        if quote.offer in HOURLY:
            return rented(candidate, usage, quote, self.terms, self.currency, self.rate)
        return bought(candidate, usage, quote, self.terms, found.kwh, found.peak_kw, self.currency, self.rate)
