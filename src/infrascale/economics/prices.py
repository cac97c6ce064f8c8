"""Dated prices of GPUs and servers, and which one counts.

In: dated quotes.    Out: the latest of an offer on a day, and whether it is stale.
Prices are appended, never overwritten: an answer of last year can be repeated with `on`. A person's own quote wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from infrascale.economics.money import Span

#: Rental prices of one GPU moved by a factor of two within a year (see docs/decisions): half a year is old.
STALE_AFTER_DAYS = 180


class Offer(StrEnum):
    ON_DEMAND = "on-demand"  # a GPU-hour
    RESERVED = "reserved"  # a GPU-hour, committed for months
    PURCHASE = "purchase"  # one GPU
    SERVER = "server"  # a whole server with its GPUs


HOURLY = (Offer.ON_DEMAND, Offer.RESERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price for one GPU kind, `on` a day. `own`: the person's, or chosen by them, which beats the catalog's range.

    `provider`: a named cloud that publishes it; such a price counts only where it is chosen.
    """

    gpu: str
    offer: Offer
    price: Span
    on: date
    source: str
    own: bool = False
    provider: str | None = None

    @property
    def typed(self) -> bool:
        """A figure of the person's own, of which no source is known."""
        return self.own and self.provider is None

    def age_days(self, today: date) -> int:
        return (today - self.on).days

    def stale(self, today: date) -> bool:
        return not self.typed and self.age_days(today) > STALE_AFTER_DAYS


def latest(quotes: Iterable[Quote], gpu: str, offers: tuple[Offer, ...], today: date) -> Quote | None:
    """The person's quote, else the newest of the catalog up to `today`, the offers in their order of preference."""
    known = [q for q in quotes if q.gpu == gpu and q.offer in offers and q.on <= today]
    return max(known, key=lambda q: (q.own, -offers.index(q.offer), q.on), default=None)
