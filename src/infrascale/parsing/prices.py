"""Prices and sites from outside: the catalog's dated entries, what a person quotes, a costs.toml.

In: TOML entries, words like `h100-sxm=2.10eur/h`.    Out: Quote, Rate, Site, Terms, or an error that names the mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale import catalog
from infrascale.economics import Currency, Day, Offer, Quote, Rate, Site, Span, Terms, peaked_day, span
from infrascale.economics.energy import Range
from infrascale.economics.market import Market
from infrascale.economics.usage import DAYS_PER_MONTH
from infrascale.errors import CatalogError, ScenarioError
from infrascale.hardware import Gpu
from infrascale.parsing.gpus import gpu

Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
CurrencyName = Literal["EUR", "USD"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Source(_Strict):
    kind: Literal["datasheet", "measured", "estimated"]
    at: str
    checked: date


class _Quote(_Strict):
    offer: Offer
    low: Amount
    high: Amount
    currency: CurrencyName
    on: date
    source: _Source


class _Prices(_Strict):
    gpu: str
    quote: list[_Quote]


class _CloudQuote(_Quote):
    gpu: str


class _Cloud(_Strict):
    provider: str
    country: str
    quote: list[_CloudQuote]


class _Tariff(_Strict):
    zone: str
    eur_per_kwh: Amount
    on: date
    source: _Source


class _Rent(_Strict):
    zone: str
    usd_per_kw_month: Amount
    on: date
    source: _Source


class _Fraction(_Strict):
    fraction: tuple[Share, Share]
    on: date
    source: _Source


class _Team(_Strict):
    usd_per_month: tuple[Amount, Amount]
    servers: Annotated[int, Field(ge=1)]
    on: date
    source: _Source


class _Upkeep(_Strict):
    network: Annotated[list[_Fraction], Field(min_length=1)]
    maintenance: Annotated[list[_Fraction], Field(min_length=1)]
    staff: Annotated[list[_Team], Field(min_length=1)]


class _Mix(_Strict):
    kg_co2e: Amount
    water_l: Amount


class _Mixes(_Strict):
    release: str
    checked: date
    pue: tuple[Annotated[float, Field(ge=1, le=3)], Annotated[float, Field(ge=1, le=3)]]
    site_l_per_kwh: tuple[Amount, Amount]
    zones: dict[str, _Mix]


@cache
def catalog_quotes() -> tuple[Quote, ...]:
    """Every dated price of the catalog."""
    found = []
    for stem, entry in catalog.entries("prices").items():
        try:
            raw = _Prices.model_validate(entry)
        except ValidationError as error:
            raise _broken(stem, error) from None
        for one in raw.quote:
            price = span(one.low, Currency(one.currency), one.high)
            found.append(Quote(gpu=gpu(raw.gpu).id, offer=one.offer, price=price, on=one.on, source=one.source.at))
    return tuple(found)


@cache
def cloud_quotes() -> tuple[Quote, ...]:
    """Every dated price of a named cloud."""
    found = []
    for stem, entry in catalog.entries("clouds").items():
        try:
            raw = _Cloud.model_validate(entry)
        except ValidationError as error:
            raise _broken(stem, error) from None
        for one in raw.quote:
            price = span(one.low, Currency(one.currency), one.high)
            found.append(Quote(gpu=gpu(one.gpu).id, offer=one.offer, price=price, on=one.on, source=one.source.at,
                               provider=raw.provider))  # fmt: skip
    return tuple(found)


def clouds_now(gpus: Iterable[str], today: date) -> tuple[Quote, ...]:
    """The newest price that each named cloud asks for these GPUs."""
    wanted, newest = set(gpus), {}
    for one in sorted(cloud_quotes(), key=lambda q: q.on):
        if one.gpu in wanted and one.on <= today:
            newest[one.provider, one.gpu, one.offer] = one
    return tuple(newest.values())


def gpu_quotes(one: Gpu) -> tuple[Quote, ...]:
    """The dated prices of a GPU; where there are none, the ranges of its own entry, as of the day they were checked."""
    dated = tuple(q for q in catalog_quotes() if q.gpu == one.id)
    if dated or one.price is None or "price" not in one.sources:
        return dated
    source = one.sources["price"]
    on = date.fromisoformat(source.checked or source.entered or "1970-01-01")
    pairs = ((Offer.PURCHASE, one.price.usd_purchase), (Offer.ON_DEMAND, one.price.usd_per_hour))
    return tuple(
        Quote(gpu=one.id, offer=offer, price=span(pair[0], Currency.USD, pair[1]), on=on, source=source.at)
        for offer, pair in pairs
        if pair
    )


def _broken(stem: str, error: ValidationError) -> CatalogError:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return CatalogError(f"{stem}.toml is broken", why=f"{where}: {first['msg']}", fix="mend the entry")


_PRICE = re.compile(r"([\d.]+)(?:-([\d.]+))?\s*(eur|usd|€|\$)(/h-reserved|/h|/server)?", re.IGNORECASE)


def own_price(word: str, today: date) -> Quote:
    """`h100-sxm=2.10eur/h` (a GPU-hour), `h100-sxm=30000usd` (a GPU) or `h100-sxm=280000eur/server`, LOW-HIGH too.

    `h100-sxm=scaleway`: what that cloud asked last, by the catalog.
    """
    name, _, text = word.partition("=")
    if text.strip().lower() in {one.provider for one in cloud_quotes()}:
        return _of_cloud(gpu(name).id, text.strip().lower(), today)
    found = _PRICE.fullmatch(text.strip())
    if not found:
        raise ScenarioError(
            f"{word[:60]!r} is no price",
            why="it is not GPU=AMOUNT and a currency",
            fix="h100-sxm=2.10eur/h (a GPU-hour; /h-reserved), h100-sxm=30000usd (a GPU), h100-sxm=280000eur/server, "
            "h100-sxm=scaleway (a cloud of `infrascale catalog prices`)",
        )
    kinds = {"/h": Offer.ON_DEMAND, "/h-reserved": Offer.RESERVED, "/server": Offer.SERVER, "": Offer.PURCHASE}
    offer = kinds[(found[4] or "").lower()]
    price = _span(found[1], found[2], found[3])
    return Quote(gpu=gpu(name).id, offer=offer, price=price, on=today, source="your own quote", own=True)


def _of_cloud(gpu: str, provider: str, today: date) -> Quote:
    found = [one for one in clouds_now([gpu], today) if one.provider == provider]
    if not found:
        others = sorted({one.gpu for one in cloud_quotes() if one.provider == provider})
        raise ScenarioError(
            f"{provider} has no price of {gpu}", why=f"the catalog has its {', '.join(others)}",
            fix=f"give your quote: --price {gpu}=2.10eur/h",
        )  # fmt: skip
    return replace(found[0], own=True)


def own_money(word: str) -> Span:
    """`0.19eur` or `0.15-0.20eur`."""
    found = _PRICE.fullmatch(word.strip())
    if not found or found[4]:
        raise ScenarioError(f"{word[:60]!r} is no amount", why="it needs a number and a currency", fix="0.19eur")
    return _span(found[1], found[2], found[3])


def _span(low: str, high: str | None, currency: str) -> Span:
    unit = Currency.EUR if currency.lower() in ("eur", "€") else Currency.USD
    try:
        return span(float(low), unit, float(high) if high else None)
    except ValueError:
        raise ScenarioError(f"{low} is no number", why="it has more than one point", fix="2.10") from None


def own_rate(word: str, today: date) -> Rate:
    """`1.16@2026-11-20`: dollars for one euro, and the day; today without one."""
    text, _, day = word.partition("@")
    try:
        value, on = float(text), date.fromisoformat(day) if day else today
    except ValueError:
        value, on = -1.0, today
    if not 0.2 < value < 5:
        raise ScenarioError(
            f"{word[:40]!r} is no exchange rate", why="it is not DOLLARS[@DAY] for one euro", fix="1.16@2026-11-20"
        )
    return Rate(usd_per_eur=value, on=on)


def electricity(today: date) -> tuple[Span, date, str]:
    """The newest tariff of the catalog, its day and source."""
    entry = catalog.entries("hosting")["electricity"]
    try:
        known = [_Tariff.model_validate(one) for one in entry["quote"]]
    except ValidationError as error:
        raise _broken("electricity", error) from None
    newest = max((one for one in known if one.on <= today), key=lambda one: one.on)
    return span(newest.eur_per_kwh, Currency.EUR), newest.on, newest.source.at


def countries() -> list[str]:
    """The zones of the catalog's own extract, by ISO 3166's three letters."""
    return list(_Mixes.model_validate(catalog.entries("carbon")["electricity_mixes"]).zones)


def hosting(today: date) -> tuple[Span, date]:
    """The newest price of a kilowatt hosted for a month in the catalog, and its day."""
    try:
        known = [_Rent.model_validate(one) for one in catalog.entries("hosting")["colocation"]["quote"]]
    except ValidationError as error:
        raise _broken("colocation", error) from None
    newest = max((one for one in known if one.on <= today), key=lambda one: one.on)
    return span(newest.usd_per_kw_month, Currency.USD), newest.on


def kept_up(terms: Terms, today: date, convertible: bool) -> tuple[Terms, date | None]:
    """Terms with the catalog's network, maintenance and staff for what is missing, and the oldest day of those used."""
    try:
        known = _Upkeep.model_validate(catalog.entries("hosting")["upkeep"])
    except ValidationError as error:
        raise _broken("upkeep", error) from None

    def newest(quotes: list[Any]) -> Any:
        return max((one for one in quotes if one.on <= today), key=lambda one: one.on, default=quotes[0])

    days = []
    if terms.network is None:
        network = newest(known.network)
        terms, days = replace(terms, network_fraction=network.fraction), [network.on]
    if not any(terms.maintenance_fraction_per_year):
        care = newest(known.maintenance)
        terms, days = replace(terms, maintenance_fraction_per_year=care.fraction), [*days, care.on]
    if terms.staff_per_month is None and convertible:
        team = newest(known.staff)
        low, high = team.usd_per_month
        paid = span(low, Currency.USD, high)
        terms, days = replace(terms, team_per_month=paid, team_servers=team.servers), [*days, team.on]
    return terms, min(days, default=None)


def site(country: str, pue: float | None = None, kg_co2e_per_kwh: float | None = None) -> Site:
    """A country's grid (three letters, ISO 3166), from EcoLogits where it is installed, else from our extract of it."""
    try:
        mixes = _Mixes.model_validate(catalog.entries("carbon")["electricity_mixes"])
    except ValidationError as error:
        raise _broken("electricity_mixes", error) from None
    code = country.strip().upper()
    mix = _ecologits(code) or mixes.zones.get(code)
    if mix is None and kg_co2e_per_kwh is None:
        raise ScenarioError(
            f"no electricity mix of {country[:20]!r}",
            why=f"the catalog knows {', '.join(mixes.zones)}",
            fix="pip install 'infrascale[carbon]' for 215 zones, or --kg-co2e-per-kwh",
        )
    if pue is not None and not 1 <= pue <= 3:
        raise ScenarioError(f"a PUE of {pue:g} cannot be", why="it lies between 1 and 3", fix="--pue 1.3")
    if kg_co2e_per_kwh is not None and not 0 <= kg_co2e_per_kwh <= 5:
        raise ScenarioError(f"{kg_co2e_per_kwh:g} kgCO2e/kWh cannot be", why="coal is at about 1", fix="give kilograms")
    own: Range = (pue, pue) if pue is not None else mixes.pue
    return Site(
        country=code,
        pue=own,
        kg_co2e_per_kwh=kg_co2e_per_kwh if kg_co2e_per_kwh is not None else mix.kg_co2e,  # type: ignore[union-attr]
        grid_l_per_kwh=mix.water_l if mix else None,
        site_l_per_kwh=mixes.site_l_per_kwh,
        source="your own figure" if kg_co2e_per_kwh is not None else mixes.release,
    )


def _ecologits(code: str) -> _Mix | None:
    if find_spec("ecologits") is None:
        return None
    from ecologits.electricity_mix_repository import electricity_mixes

    found = electricity_mixes.find_electricity_mix(code)
    return _Mix(kg_co2e=found.gwp, water_l=found.wue) if found else None


class Costs(_Strict):
    """The keys of costs.toml: what the catalog cannot know. Amounts are words with a currency: "12eur"."""

    lifetime_months: Annotated[float, Field(gt=0, le=240)] = 36.0
    residual: Share = 0.0
    server: str | None = None
    network: str | None = None
    hosting_per_kw: str | None = None
    electricity_per_kwh: str | None = None
    maintenance_per_year: Share = 0.0
    staff_per_month: str | None = None
    active_days: Annotated[float, Field(gt=0, le=DAYS_PER_MONTH)] = DAYS_PER_MONTH
    day_profile: Annotated[list[Amount], Field(min_length=24, max_length=24)] | None = None

    def terms(self) -> Terms:
        def money(word: str | None) -> Span | None:
            return own_money(word) if word else None

        return Terms(
            lifetime_months=self.lifetime_months,
            residual_fraction=self.residual,
            server=money(self.server),
            network=money(self.network),
            hosting_per_kw=money(self.hosting_per_kw),
            electricity_per_kwh=money(self.electricity_per_kwh),
            maintenance_fraction_per_year=(self.maintenance_per_year, self.maintenance_per_year),
            staff_per_month=money(self.staff_per_month),
        )

    def day(self, peak_fraction: float) -> Day:
        if self.day_profile is None:
            return peaked_day(peak_fraction, self.active_days)
        total = sum(self.day_profile)
        if total <= 0:
            raise ScenarioError("day_profile is empty", why="its 24 shares sum to nothing", fix="give 24 shares")
        return Day(hour_fractions=tuple(one / total for one in self.day_profile), active_days=self.active_days)


def costs(values: Mapping[str, Any]) -> Costs:
    try:
        return Costs.model_validate({k: v for k, v in values.items() if v is not None})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Costs.model_fields)
        raise ScenarioError(f"{key} cannot be so", why=first["msg"], fix=f"known keys of costs.toml: {known}") from None


RENT, RENT_RESERVED, BUY = (Offer.ON_DEMAND,), (Offer.RESERVED,), (Offer.SERVER, Offer.PURCHASE)
OFFERS = {"rent": RENT, "reserved": RENT_RESERVED, "buy": BUY}


def market(
    gpus: Iterable[Gpu], values: Mapping[str, Any], *, offers: tuple[Offer, ...] = RENT, own: Iterable[str] = (),
    rate: str | None = None, currency: str | None = None, where: Site, peak_fraction: float, today: date,
) -> Market:  # fmt: skip
    """Everything that prices a plan. `values`: the keys of costs.toml. `own`: the person's quotes, which win.

    Without a `currency`, the person's first quote decides, else dollars, in which the catalog's GPUs are priced.
    The catalog's prices of electricity, hosting, network, maintenance and staff stand in for missing ones where they
    can be converted.
    """
    mine = tuple(own_price(word, today) for word in own)
    twice = [q.gpu for n, q in enumerate(mine) if any((q.gpu, q.offer) == (o.gpu, o.offer) for o in mine[:n])]
    if twice:
        raise ScenarioError(f"two prices of {twice[0]}", why="one would pass unseen", fix="keep one, or give LOW-HIGH")
    gpus = tuple(gpus)
    dated = tuple(quote for one in gpus for quote in gpu_quotes(one))
    try:
        unit = Currency(currency.upper()) if currency else mine[0].price.currency if mine else Currency.USD
    except ValueError:
        raise ScenarioError(f"unknown currency {currency!r}", why="there are two", fix="EUR or USD") from None
    given = costs(values)
    terms, dated_rate, tariff_on = given.terms(), own_rate(rate, today) if rate else None, None
    hosting_on = None
    if terms.hosting_per_kw is None and (unit is Currency.USD or dated_rate):
        rent, hosting_on = hosting(today)
        terms = replace(terms, hosting_per_kw=rent)
    if terms.electricity_per_kwh is None and (unit is Currency.EUR or dated_rate):
        tariff, tariff_on, _ = electricity(today)
        terms = replace(terms, electricity_per_kwh=tariff)
    terms, upkeep_on = kept_up(terms, today, unit is Currency.USD or dated_rate is not None)
    return Market(
        quotes=(*dated, *mine),
        offers=offers,
        currency=unit,
        rate=dated_rate,
        terms=terms,
        site=where,
        day=given.day(peak_fraction),
        today=today,
        tariff_on=tariff_on,
        hosting_on=hosting_on,
        upkeep_on=upkeep_on,
        clouds=clouds_now([one.id for one in gpus], today),
    )
