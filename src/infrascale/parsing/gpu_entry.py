"""One GPU as a file of ours states it, and the value it becomes; unknown keys and impossible numbers are refused."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from infrascale.hardware import Gpu, Link, Price, Source

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Dtype = Literal["fp64", "fp32", "tf32", "fp16", "bf16", "fp8", "int8", "int4", "fp6", "fp4"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Link(Strict):
    kind: Literal["nvlink", "nvlink-bridge", "pcie", "xgmi", "ethernet"]
    bytes_per_s: Positive
    gpus: Annotated[int, Field(ge=1)]


class _Price(Strict):
    usd_purchase: tuple[Positive, Positive] | None = None
    usd_per_hour: tuple[Positive, Positive] | None = None


class _Source(Strict):
    kind: Literal["datasheet", "measured", "estimated"]
    at: str
    checked: date | None = None
    entered: date | None = None


class Entry(Strict):
    """A GPU as the catalog's files have it."""

    name: str
    vendor: Literal["nvidia", "amd", "intel", "arm"]
    architecture: str
    form_factor: str
    aliases: list[str] = []
    released: int | None = None
    offered: bool = True
    hbm_bytes: Positive
    hbm_bytes_per_s: Positive
    flop_per_s: dict[Dtype, Positive]
    power_w: Positive
    idle_power_w: Positive | None = None
    gpus_per_server: Annotated[int, Field(ge=1)]
    notes: str = ""
    link: _Link
    price: _Price | None = None
    sources: dict[str, _Source]


def as_gpu(stem: str, raw: Entry, **measured: Any) -> Gpu:
    """An entry as a value; `measured`: what a profile adds."""
    sources = {
        key: Source(
            kind=s.kind,
            at=s.at,
            checked=s.checked.isoformat() if s.checked else None,
            entered=s.entered.isoformat() if s.entered else None,
        )
        for key, s in raw.sources.items()
    }
    facts = raw.model_dump(include=set(Entry.model_fields) - {"link", "price", "sources", "aliases"})
    return Gpu(
        id=stem,
        **facts,
        aliases=tuple(raw.aliases),
        link=Link(**raw.link.model_dump()),
        price=Price(**raw.price.model_dump()) if raw.price else None,
        sources=sources,
        **measured,
    )
