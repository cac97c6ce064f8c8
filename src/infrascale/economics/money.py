"""Money: amounts with a currency that never mix, ranges of them, and a dated rate between the two currencies.

In: numbers and a currency.    Out: Money, Span (low to high).
Adding euros to dollars is an error; only a Rate that somebody dated turns one into the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from infrascale.errors import ScenarioError


class Currency(StrEnum):
    EUR = "EUR"
    USD = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    amount: float
    currency: Currency

    def __add__(self, other: Money) -> Money:
        if self.currency is not other.currency:
            raise ScenarioError(
                f"{self.currency} and {other.currency} do not add",
                why="amounts in two currencies meet and no exchange rate is given",
                fix="give a dated rate: --rate 1.16@2026-11-20 (dollars for one euro)",
            )
        return Money(amount=self.amount + other.amount, currency=self.currency)

    def __mul__(self, factor: float) -> Money:
        return Money(amount=self.amount * factor, currency=self.currency)

    def __truediv__(self, divisor: float) -> Money:
        return self * (1 / divisor)

    def __str__(self) -> str:
        return f"{self.amount:,.2f} {self.currency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the lowest to the highest amount that the sources allow; one price is a span of no width."""

    low: Money
    high: Money

    def __post_init__(self) -> None:
        if self.low.currency is not self.high.currency or not 0 <= self.low.amount <= self.high.amount < float("inf"):
            raise ScenarioError(
                f"{self.low} to {self.high} is no range of prices",
                why="both ends need one currency, and the lower comes first",
                fix="give one price, or LOW-HIGH",
            )

    def __add__(self, other: Span) -> Span:
        return Span(low=self.low + other.low, high=self.high + other.high)

    def __mul__(self, factor: float) -> Span:
        return Span(low=self.low * factor, high=self.high * factor)

    def __truediv__(self, divisor: float) -> Span:
        return self * (1 / divisor)

    @property
    def middle(self) -> Money:
        return (self.low + self.high) / 2

    @property
    def currency(self) -> Currency:
        return self.low.currency

    def __str__(self) -> str:
        if self.low.amount == self.high.amount:
            return str(self.low)
        return f"{self.low.amount:,.2f} – {self.high.amount:,.2f} {self.currency}"


def span(low: float, currency: Currency, high: float | None = None) -> Span:
    high = low if high is None else high
    return Span(low=Money(amount=low, currency=currency), high=Money(amount=high, currency=currency))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Dollars for one euro, on a day."""

    usd_per_eur: float
    on: date


def converted(amount: Span, to: Currency, rate: Rate | None) -> Span:
    """The span in currency `to`. 1 000 EUR at 1.16 USD per EUR: 1 160 USD."""
    if amount.currency is to:
        return amount
    if rate is None:
        raise ScenarioError(
            f"{amount} is not in {to}",
            why="no exchange rate is given, and a wrong one would pass unseen",
            fix="give a dated rate: --rate 1.16@2026-11-20 (dollars for one euro), or prices in one currency",
        )
    factor = rate.usd_per_eur if to is Currency.USD else 1 / rate.usd_per_eur
    return span(amount.low.amount * factor, to, amount.high.amount * factor)
