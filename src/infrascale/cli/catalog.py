"""`infrascale catalog`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from infrascale.cli.flags import Json


def catalog(
    kind: Annotated[str, typer.Argument(help="gpus, models, or show")] = "gpus",
    name: Annotated[str | None, typer.Argument(help="With show: the entry.")] = None,
    as_json: Json = False,
) -> None:
    """GPUs and models known offline, and where their numbers come from."""
    from infrascale import catalog as shelf
    from infrascale.errors import CatalogError

    if kind == "show":
        if not name:
            raise CatalogError("nothing to show", why="no entry is named", fix="infrascale catalog show h100-sxm")
        try:
            stem, entry = shelf.find("gpus", name)
        except CatalogError:
            stem, entry = shelf.find("models", name)
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
    else:
        raise CatalogError(f"no catalog of {kind[:40]}", why="there are two", fix="gpus, models, or show NAME")
