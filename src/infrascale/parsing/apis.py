"""Prices of hosted models: genai-prices (an extra, offline) and our dated extracts for those it lacks.

In: a Workload and the id of the weights.    Out: ApiOffer values, cheapest first.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale import catalog
from infrascale.economics import Currency, Money
from infrascale.economics.apis import ApiOffer, per_request
from infrascale.errors import CatalogError, ScenarioError
from infrascale.workload import Workload

_Amount = Annotated[float, Field(gt=0, le=1e5, allow_inf_nan=False)]
#: Words of a name that say who hosts or how, not which weights.
_PACKAGING = {"meta", "instruct", "it", "hf", "turbo", "fp8", "fp4", "fast", "versatile", "specdec", "bf16", "cf"}


class _Quote(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    input_per_million: _Amount
    output_per_million: _Amount
    cached_per_million: _Amount | None = None
    currency: Literal["EUR", "USD"]
    on: date
    source: dict[str, Any]


def weights_name(name: str) -> str:
    """A model's name without who hosts it and how: what two offers of the same weights share.

    `databricks-meta-llama-3-3-70b-instruct` and `meta-llama/Llama-3.3-70B-Instruct-Turbo`: llama 3 3 70b.
    Dates stay (Qwen's -2507 are other weights), but not on Mistral's, whose version says the same.
    """
    words = re.split(r"[^a-z0-9]+", name.split("/")[-1].lower().removeprefix("databricks-"))
    mistral = any("stral" in word for word in words)
    kept = [w for w in words if w and w not in _PACKAGING and not (mistral and re.fullmatch(r"2[3-9][01]\d", w))]
    return " ".join(kept)


def api_offers(load: Workload, model_id: str, on: date) -> list[ApiOffer]:
    """Every priced text model, as one request of this workload; the extra genai-prices adds its 2 000 to ours."""
    wanted = weights_name(model_id)
    found = _extracts(load, wanted, on)
    if find_spec("genai_prices") is not None:
        ours = {(one.provider, weights_name(one.model)) for one in found}
        found += [one for one in _genai(load, wanted, on) if (one.provider, weights_name(one.model)) not in ours]
    return sorted(found, key=lambda offer: (offer.per_request.currency, offer.per_request.amount))


def _extracts(load: Workload, wanted: str, on: date) -> list[ApiOffer]:
    found: dict[tuple[str, str], ApiOffer] = {}
    for stem, entry in catalog.entries("apis").items():
        try:
            quotes = [_Quote.model_validate(one) for one in entry["quote"]]
        except ValidationError as error:
            first = error.errors()[0]
            raise CatalogError(f"{stem}.toml is broken", why=f"{first['loc']}: {first['msg']}", fix="mend it") from None
        for quote in sorted((q for q in quotes if q.on <= on), key=lambda q: q.on):

            def money(amount: float, quote: _Quote = quote) -> Money:
                return Money(amount=amount, currency=Currency(quote.currency))

            cached = money(quote.cached_per_million) if quote.cached_per_million else None
            found[str(entry["provider"]), quote.model] = ApiOffer(
                provider=str(entry["provider"]),
                model=quote.model,
                per_request=per_request(load, money(quote.input_per_million), money(quote.output_per_million), cached),
                same_model=weights_name(quote.model) == wanted,
                cached_is_priced=cached is not None,
                on=quote.on,
                source=str(quote.source["at"]),
            )
    return list(found.values())


def _genai(load: Workload, wanted: str, on: date) -> list[ApiOffer]:
    from importlib.metadata import version

    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import Usage

    when = datetime(on.year, on.month, on.day, tzinfo=UTC)
    usage = Usage(
        input_tokens=round(load.isl_tokens),
        cache_read_tokens=round(load.cached_tokens),
        output_tokens=round(load.osl_tokens),
    )
    plain = Usage(input_tokens=round(load.isl_tokens), output_tokens=round(load.osl_tokens))
    source = f"genai-prices {version('genai-prices')}"
    found = []
    for provider in get_snapshot().providers:
        for model in provider.models:
            prices = model.get_prices(when)
            if prices.input_mtok is None or prices.output_mtok is None or model.deprecated:
                continue
            cached = prices.cache_read_mtok is not None
            amount = float(prices.calc_price(usage if cached else plain)["total_price"])
            if amount > 0:
                offer = ApiOffer(
                    provider=provider.id,
                    model=model.id,
                    per_request=Money(amount=amount, currency=Currency.USD),
                    same_model=weights_name(model.id) == wanted,
                    cached_is_priced=cached,
                    on=None,
                    source=source,
                )
                found.append(offer)
    return found


def declared(offers: list[ApiOffer], names: list[str]) -> list[ApiOffer]:
    """The offers that a person calls comparable, as PROVIDER/MODEL."""
    by_name = {f"{offer.provider}/{offer.model}": offer for offer in offers}
    for name in names:
        if name not in by_name:
            near = [key for key in by_name if name.split("/")[-1].lower() in key.lower()][:4]
            hint = f"did you mean {', '.join(near)}?" if near else "infrascale catalog apis lists what is priced"
            raise ScenarioError(f"no price of {name[:60]!r}", why="no source knows it", fix=hint)
    return [by_name[name] for name in names]
