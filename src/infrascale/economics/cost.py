"""What a plan costs a month: bought or rented, line by line, each a range in one currency.

In: Candidate, Usage, Energy, and prices (a Quote for its GPU, Purchase or Rental terms).    Out: Bill.

    rental     GPUs · price of a GPU-hour · hours of a month
    purchase   (GPUs or whole servers + network) / months of life + maintenance + hosting + electricity + staff

What nobody priced is zero and named in `unpriced`; nothing is guessed. GPUs that stay free in the last server are paid
for but draw no electricity here.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from infrascale.economics.energy import Range
from infrascale.economics.money import Currency, Rate, Span, converted, span
from infrascale.economics.prices import Offer, Quote
from infrascale.economics.usage import HOURS_PER_MONTH, Usage
from infrascale.planning import Candidate

#: EcoLogits 0.11.3, impacts/llm.py: HARDWARE_LIFESPAN, three years.
LIFETIME_MONTHS = 36.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What surrounds the GPUs that are bought; a None or zero is left out of the bill and said.

    `server`: a server without its GPUs. `network`: of one server, or `network_fraction` of the price of servers and
    GPUs. `hosting`: of one kW of GPUs and servers a month. `team_per_month` for every `team_servers` begun, where
    `staff_per_month` is not given. `residual_fraction`: share of the price got back at the end of life.
    """

    lifetime_months: float = LIFETIME_MONTHS
    residual_fraction: float = 0.0
    server: Span | None = None
    network: Span | None = None
    network_fraction: Range | None = None
    hosting_per_kw: Span | None = None
    electricity_per_kwh: Span | None = None
    maintenance_fraction_per_year: Range = (0.0, 0.0)
    staff_per_month: Span | None = None
    team_per_month: Span | None = None
    team_servers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    name: str
    per_month: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A month's cost. `unpriced`: what the sum leaves out because nobody gave a price. `quote`: the GPU's price."""

    offer: Offer
    lines: tuple[Line, ...]
    unpriced: tuple[str, ...]
    quote: Quote
    usage: Usage

    @property
    def per_month(self) -> Span:
        total = self.lines[0].per_month
        for line in self.lines[1:]:
            total = total + line.per_month
        return total

    @property
    def per_million_tokens(self) -> Span:
        """Input and output together."""
        return self.per_month / self.usage.million_tokens

    @property
    def per_million_output_tokens(self) -> Span:
        return self.per_month / (self.usage.output_tokens / 1e6)

    @property
    def per_user(self) -> Span | None:
        return self.per_month / self.usage.users if self.usage.users else None


def rented(
    candidate: Candidate, usage: Usage, quote: Quote, terms: Terms, currency: Currency, rate: Rate | None
) -> Bill:
    """GPUs kept round the clock, and staff. 2 GPUs at 2.10 EUR an hour: 2 · 2.10 · 730.5 = 3 068.10 EUR a month."""
    price = converted(quote.price, currency, rate)
    lines = [Line(name="rental", per_month=price * (candidate.gpus * HOURS_PER_MONTH))]
    if terms.staff_per_month:
        lines.append(Line(name="staff", per_month=converted(terms.staff_per_month, currency, rate)))
    unpriced = () if terms.staff_per_month else ("staff",)
    return Bill(offer=quote.offer, lines=tuple(lines), unpriced=unpriced, quote=quote, usage=usage)


def servers(candidate: Candidate) -> int:
    """Whole servers that hold the plan's GPUs."""
    return ceil(candidate.gpus / candidate.deployment.gpu.gpus_per_server)


def amortised(price: Span, terms: Terms) -> Span:
    """A price a month of life. 288 000 over 36 months, a tenth got back: 288 000 · 0.9 / 36 = 7 200."""
    return price * ((1 - terms.residual_fraction) / terms.lifetime_months)


def part(price: Span, fraction: Range) -> Span:
    """A share of a price, both ranges. 5 to 10 % of 1 000 to 2 000: 50 to 200."""
    low, high = price.low.amount * fraction[0], price.high.amount * fraction[1]
    return span(low, price.currency, high)


def _staff(terms: Terms, servers: int) -> tuple[Span | None, float]:
    """The person's own sum; else teams, as many as the servers need."""
    if terms.staff_per_month is not None or terms.team_per_month is None:
        return terms.staff_per_month, 1.0
    return terms.team_per_month, float(ceil(servers / terms.team_servers))


def bought(
    candidate: Candidate, usage: Usage, quote: Quote, terms: Terms, kwh: tuple[float, float], kw: float,
    currency: Currency, rate: Rate | None,
) -> Bill:  # fmt: skip
    """GPUs bought and run for `lifetime_months`; whole servers where the quote prices servers.

    `kwh`: electricity a month at the meter, low and high. `kw`: peak power of servers and GPUs, what hosting bills.
    """
    count = servers(candidate)
    per_server = quote.offer is Offer.SERVER
    gear = converted(quote.price, currency, rate) * (count if per_server else candidate.gpus)
    lines, unpriced = [Line(name="servers_with_gpus" if per_server else "gpus", per_month=amortised(gear, terms))], []

    def add(name: str, price: Span | None, count: float) -> Span | None:
        if price is None:
            unpriced.append(name)
            return None
        return converted(price, currency, rate) * count

    network = terms.network
    if network is None and terms.network_fraction:
        network = part(gear, terms.network_fraction) * (1 / count)
    for name, price in (("servers", terms.server), ("network", network)):
        if name == "servers" and per_server:
            continue
        found = add(name, price, count)
        if found:
            gear = gear + found
            lines.append(Line(name=name, per_month=amortised(found, terms)))
    if any(terms.maintenance_fraction_per_year):
        lines.append(Line(name="maintenance", per_month=part(gear, terms.maintenance_fraction_per_year) * (1 / 12)))
    else:
        unpriced.append("maintenance")
    power = add("electricity", terms.electricity_per_kwh, 1.0)
    if power:
        low, high = power.low.amount * kwh[0], power.high.amount * kwh[1]
        lines.append(Line(name="electricity", per_month=span(low, currency, high)))
    for name, price, number in (("hosting", terms.hosting_per_kw, kw), ("staff", *_staff(terms, count))):
        found = add(name, price, number)
        if found:
            lines.append(Line(name=name, per_month=found))
    return Bill(offer=quote.offer, lines=tuple(lines), unpriced=tuple(unpriced), quote=quote, usage=usage)
