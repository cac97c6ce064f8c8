"""The GPU that a name means: an entry of the catalog, or a profile of a machine."""

from __future__ import annotations

from functools import cache

from pydantic import ValidationError

from infrascale import catalog
from infrascale.errors import CatalogError
from infrascale.hardware import Gpu
from infrascale.parsing.gpu_entry import Entry, as_gpu


def gpu(name: str) -> Gpu:
    """The GPU that `name` means: an entry of the catalog, or the file that `infrascale profile` wrote of a machine."""
    if not name.endswith(".toml"):
        return known(name)
    from infrascale.parsing.profiles import profile

    return profile(name)


@cache
def known(name: str) -> Gpu:
    """The catalog's GPU of this name or spelling: no file of the caller's is read."""
    stem, entry = catalog.find("gpus", name)
    try:
        return as_gpu(stem, Entry.model_validate(entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CatalogError(f"{stem}.toml is broken", why=f"{where}: {first['msg']}", fix="mend the entry") from None


def offered() -> tuple[Gpu, ...]:
    """What `any` means: all but desktop boards and what was made for one customer, which are answered by name."""
    return tuple(known(stem) for stem, head in catalog.heads("gpus").items() if head.get("offered", True))


def all_gpus() -> list[Gpu]:
    return [known(stem) for stem in catalog.entries("gpus")]
