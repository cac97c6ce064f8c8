"""The same workload bought by the token, and from how many users on hosting it oneself costs less.

In: Usage, priced API models, a cost of hosting by number of users.    Out: monthly charges; a BreakEven with its curve.
A charge follows the tokens; own GPUs come in steps and run all night. Compared are offers of the same open-weight
model, or those that the person declares comparable: nothing here judges quality.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from infrascale.economics.money import Currency, Money, Rate, Span, converted
from infrascale.economics.usage import Usage
from infrascale.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOffer:
    """A hosted model. `per_request`: what one request of the workload costs, cached input at its own price.

    `same_model`: the provider's name is that of the weights in question. `on`: the day of the price, None if the
    source keeps none.
    """

    provider: str
    model: str
    per_request: Money
    same_model: bool
    cached_is_priced: bool
    on: date | None
    source: str

    def per_month(self, usage: Usage, currency: Currency, rate: Rate | None) -> Span:
        price = converted(Span(low=self.per_request, high=self.per_request), currency, rate)
        return price * usage.requests


def monthly_charges(
    offers: Sequence[ApiOffer], usage: Usage, currency: Currency, rate: Rate | None
) -> tuple[tuple[ApiOffer, Span], ...]:
    """What each offer charges a month, cheapest first; those in the other currency need the rate."""
    usable = [o for o in offers if rate or o.per_request.currency is currency]
    charged = [(o, o.per_month(usage, currency, rate)) for o in usable]
    return tuple(sorted(charged, key=lambda pair: pair[1].low.amount))


def per_request(load: Workload, input_price: Money, output_price: Money, cached_price: Money | None = None) -> Money:
    """One request at prices of a million tokens; without a price for cached input, it pays the full one.

    1 000 tokens in at 0.90, 400 out at 0.90: 0.00126.
    """
    cached = (cached_price or input_price) * load.cached_tokens
    return (input_price * load.new_tokens + cached + output_price * load.osl_tokens) / 1e6


#: Hosting oneself a month, at the lowest price and the bold number of GPUs and at the highest price and the cautious
#: one; None where no number keeps the promise.
Ends = tuple[Money | None, Money | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A number of users, hosting oneself at both ends, and the API, a month."""

    users: float
    own: Ends
    api: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """Users from which hosting stays cheaper on every point looked at, at the low and the high end of its cost.

    None: not up to the last point of the curve.
    """

    users_at_low: float | None
    users_at_high: float | None
    curve: tuple[Point, ...]


def break_even(own: Callable[[float], Ends], api_per_user: Span, users: Sequence[float]) -> BreakEven:
    """The curve at `users`, and where hosting begins to win for good, refined by bisection to one per cent.

    Own cost is a staircase: past a step it may lose again, so the last loss on the curve decides.
    """
    curve = tuple(Point(users=n, own=own(n), api=api_per_user * n) for n in users)

    def wins(point: Point, high: bool) -> bool:
        mine = point.own[high]
        return mine is not None and mine.amount <= point.api.middle.amount

    def from_users(high: bool) -> float | None:
        lost = [index for index, point in enumerate(curve) if not wins(point, high)]
        if not lost:
            return curve[0].users
        if lost[-1] == len(curve) - 1:
            return None
        below, above = curve[lost[-1]].users, curve[lost[-1] + 1].users
        while above - below > max(1.0, 0.01 * above):
            middle = (below + above) / 2
            point = Point(users=middle, own=own(middle), api=api_per_user * middle)
            below, above = (below, middle) if wins(point, high) else (middle, above)
        return above

    return BreakEven(users_at_low=from_users(False), users_at_high=from_users(True), curve=curve)
