"""`infrascale catalog`."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from infrascale.cli.flags import Json


def catalog(
    kind: Annotated[str, typer.Argument(help="gpus, models, prices, apis, or show")] = "gpus",
    name: Annotated[
        str | None, typer.Argument(help="The entry to show; of prices and apis a part of the name.")
    ] = None,
    as_json: Json = False,
) -> None:
    """GPUs, models and prices known offline, and where their numbers come from."""
    from infrascale import catalog as shelf
    from infrascale.catalog import spellings
    from infrascale.errors import CatalogError

    if kind == "show":
        if not name:
            raise CatalogError("nothing to show", why="no entry is named", fix="infrascale catalog show h100-sxm")
        machine = shelf.meant("gpus", name) or (spellings.other_machine(name) and not shelf.meant("models", name))
        stem, entry = shelf.find("gpus" if machine else "models", name)
        if as_json:
            print(json.dumps({"entry": stem, **entry}, indent=2, default=str, ensure_ascii=False))
        else:
            from infrascale.screen.entries import entry_lines

            print("\n".join(entry_lines(stem, entry)))
    elif kind in ("gpus", "models"):
        found = shelf.entries(kind)
        if as_json:
            print(json.dumps({k: v.get("id", v.get("name")) for k, v in found.items()}, indent=2))
        for stem, entry in () if as_json else found.items():
            if kind == "gpus":
                size, speed = entry["hbm_bytes"] / 1e9, entry["hbm_bytes_per_s"] / 1e12
                print(f"{stem:<26} {size:6.1f} GB {speed:6.2f} TB/s  {entry['name']}"[:80])
            else:
                print(f"{entry['id']:<58} {entry['params'] / 1e9:8.1f} B"[:80])
    elif kind in ("prices", "apis"):
        rows = _prices(name or "") if kind == "prices" else _offers(name or "")
        print(json.dumps(rows, indent=2, ensure_ascii=False) if as_json else "\n".join(map(_line, rows)))
    else:
        raise CatalogError(
            f"no catalog of {kind[:40]}", why="there are four", fix="gpus, models, prices, apis, or show NAME"
        )


def _prices(part: str) -> list[dict[str, Any]]:
    """Every dated price of GPUs, the newest first."""
    from infrascale.parsing.gpus import all_gpus
    from infrascale.parsing.prices import cloud_quotes, gpu_quotes

    found = [quote for gpu in all_gpus() for quote in gpu_quotes(gpu)] + list(cloud_quotes())
    found = [quote for quote in found if part.lower() in f"{quote.gpu} {quote.provider or ''}"]
    return [
        {"name": f"{one.gpu} {one.provider or ''}".strip(), "what": one.offer.value,
         "low": one.price.low.amount, "high": one.price.high.amount,
         "currency": one.price.currency.value, "on": one.on.isoformat(), "source": one.source}
        for one in sorted(found, key=lambda one: (one.gpu, one.offer.value, -one.on.toordinal()))
    ]  # fmt: skip


def _offers(part: str) -> list[dict[str, Any]]:
    """What a thousand requests of 1,000 tokens in and 400 out cost by API, cheapest first."""
    from datetime import date

    from infrascale.parsing.apis import api_offers
    from infrascale.workload import Workload

    offers = api_offers(Workload(isl_tokens=1000, osl_tokens=400), "", date.today())
    named = ((f"{one.provider}/{one.model}", one) for one in offers)
    return [
        {"name": name, "what": "1000 requests of 1000 in, 400 out", "low": one.per_request.amount * 1000,
         "high": one.per_request.amount * 1000, "currency": one.per_request.currency.value,
         "on": one.on.isoformat() if one.on else None, "source": one.source}
        for name, one in named if part.lower() in name.lower()
    ]  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    low, high = f"{row['low']:,.2f}", f"{row['high']:,.2f}"
    price = f"{low if low == high else f'{low} – {high}'} {row['currency']}"
    gpu = "requests" not in row["what"]
    name = f"{row['name'][:24]:<25}{row['what']:<10}" if gpu else f"{row['name'][:51]:<52}"
    return f"{name}{price:>{80 - 11 - len(name)}} {row['on'] or ''}".rstrip()
