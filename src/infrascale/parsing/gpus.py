"""The GPU that a name means: an entry of the catalog, a slice of one, or a profile of a machine."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from pydantic import ValidationError

from infrascale import catalog
from infrascale.errors import CatalogError
from infrascale.hardware import Gpu, Link
from infrascale.parsing.gpu_entry import Entry, as_gpu

#: `3g.40gb` in `H100 MIG 3g.40gb`, `A100-SXM4-80GB-3g.40gb` or `mig-3g-40gb`.
_SLICE = re.compile(r"(?:[\s_-]*\bmig\b)?[\s_(-]*\b([1-7])g[._ -](\d{1,3})\s?gb\)?(?:[\s_-]*\bmig\b)?", re.IGNORECASE)
#: Eighths of memory that go with sevenths of the processors. Source: NVIDIA MIG User Guide, "Supported MIG Profiles"
#: (https://docs.nvidia.com/datacenter/tesla/mig-user-guide/), written down on 2026-11-26.
_CUT_IN_SEVENTHS = ("ampere", "hopper", "blackwell")  # of these the cards with HBM, but for the A30, cut in quarters
_EIGHTHS = {1: (1, 2), 2: (2,), 3: (4,), 4: (4,), 7: (8,)}


def gpu(name: str) -> Gpu:
    """The GPU that `name` means: an entry of the catalog, or the file that `infrascale profile` wrote of a machine."""
    if not name.endswith(".toml"):
        return known(name)
    from infrascale.parsing.profiles import profile

    return profile(name)


@cache
def known(name: str) -> Gpu:
    """The catalog's GPU of this name or spelling, or a slice of it: no file of the caller's is read."""
    cut = _SLICE.search(name[:200])
    if cut and (rest := _SLICE.sub(" ", name[:200]).strip(" _-()")):
        return _sliced(rest, int(cut[1]), float(cut[2]))
    stem, entry = catalog.find("gpus", name)
    try:
        return as_gpu(stem, Entry.model_validate(entry))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CatalogError(f"{stem}.toml is broken", why=f"{where}: {first['msg']}", fix="mend the entry") from None


def _sliced(card: str, sevenths: int, gigabytes: float) -> Gpu:
    """The slice of the card that is meant: 1g.5gb is cut from the A100 of 40 GB, not from the one of 80."""
    whole, pairs = known(card), _EIGHTHS.get(sevenths, ())
    if whole.architecture not in _CUT_IN_SEVENTHS or whole.hbm_bytes_per_s < 1.5e12:
        pairs = ()
    for eighths in pairs:
        if round(8 * gigabytes * 1e9 / whole.hbm_bytes) == eighths:
            return _slice(whole, sevenths, eighths, gigabytes)
    for eighths in pairs:
        other = catalog.meant("gpus", f"{card} {8 * gigabytes / eighths:.0f}GB")
        if other:
            return _slice(known(other), sevenths, eighths, gigabytes)
    raise CatalogError(
        f"{whole.id} has no slice {sevenths}g.{gigabytes:g}gb",
        why="processors are cut in sevenths and memory in eighths, in a few pairs",
        fix=f"1g, 2g, 3g, 4g or 7g of {whole.hbm_bytes / 8e9:.0f} GB eighths (nvidia-smi mig -lgip)",
    )


def _slice(whole: Gpu, sevenths: int, eighths: int, gigabytes: float) -> Gpu:
    """A MIG instance: its share of the processors, and the memory slices that are its own with their bandwidth.

    One instance is a GPU of its own; none talks to another.
    """
    memory, processors = eighths / 8, sevenths / 7
    return replace(
        whole,
        id=f"{whole.id}-mig-{sevenths}g-{gigabytes:g}gb",
        name=f"{whole.name}, MIG {sevenths}g.{gigabytes:g}gb",
        hbm_bytes=memory * whole.hbm_bytes,
        hbm_bytes_per_s=memory * whole.hbm_bytes_per_s,
        flop_per_s={dtype: processors * rate for dtype, rate in whole.flop_per_s.items()},
        power_w=processors * whole.power_w,
        idle_power_w=None if whole.idle_power_w is None else processors * whole.idle_power_w,
        gpus_per_server=1,
        link=Link(kind="pcie", bytes_per_s=whole.link.bytes_per_s, gpus=1),
        offered=False,
        price=None,
        notes=f"{processors:.0%} of the processors and {memory:.0%} of the memory of one card; not measured as such.",
    )


def offered() -> tuple[Gpu, ...]:
    """What `any` means: all but desktop boards and what was made for one customer, which are answered by name."""
    return tuple(known(stem) for stem, head in catalog.heads("gpus").items() if head.get("offered", True))


def all_gpus() -> list[Gpu]:
    return [known(stem) for stem in catalog.entries("gpus")]
