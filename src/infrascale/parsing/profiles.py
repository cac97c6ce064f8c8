"""A hardware profile (the file of `infrascale profile`) becomes a Gpu with curves of its own, or an error.

In: a TOML file: the keys of a catalog entry, `[curves]`, perhaps `[bus]`, and where they were measured.    Out: Gpu.
A profile is named wherever a GPU is: `--gpu path/to/h100.toml`. Its raw samples stay in the file, for those who doubt.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field

from infrascale.errors import FileError
from infrascale.hardware import Gpu
from infrascale.parsing.checked import shaped, text_of
from infrascale.parsing.gpu_entry import Entry, Strict, as_gpu
from infrascale.work import Kind

VERSION = 1
MOST_BYTES = 4 << 20
Amount = Annotated[float, Field(ge=0, le=1e15)]
Share = Annotated[float, Field(gt=0, le=100)]
Sample = list[Annotated[float, Field(ge=0, le=1e15)]]


class _Curve(Strict):
    """`hardware.Curve`, every value bounded."""

    launch_s: Annotated[float, Field(ge=0, le=1)] | None = None
    bytes_fraction: Share | None = None
    bytes_half: Amount | None = None
    flop_fraction: Share | None = None
    rows_half: Amount | None = None
    exponent: Annotated[float, Field(ge=0.5, le=20)] | None = None
    depth_s: Annotated[float, Field(ge=0, le=1)] | None = None
    row_s: Annotated[float, Field(ge=0, le=1)] | None = None
    element_s: Annotated[float, Field(ge=0, le=1)] | None = None
    most_bytes_per_s: Annotated[float, Field(gt=0, allow_inf_nan=True)] | None = None


class _Bus(Strict):
    latency_s: Annotated[dict[int, Annotated[float, Field(gt=0, le=10)]], Field(min_length=1)]
    bus_fraction: Annotated[dict[int, Share], Field(min_length=1)]


class _Measured(Strict):
    """Where, when, with what; the median error of each curve on its own samples; what could not be measured."""

    made: str
    tool: str
    device: str
    seconds: Amount
    error_fraction: dict[str, Amount]
    notes: list[str] = Field(default_factory=list)


class _Profile(Entry):
    version: int
    id: Annotated[str, Field(min_length=1, max_length=80)]
    curves: dict[str, _Curve]
    bus: _Bus | None = None
    measured: _Measured
    samples: dict[str, Annotated[list[Sample], Field(max_length=5000)]] = Field(default_factory=dict)


def profile(path: str) -> Gpu:
    """The measured GPU in this file; the same file is the same Gpu, until it changes."""
    try:
        stat = Path(path).stat()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FileError(f"{path} cannot be read", why=why, fix="check the path, or name a GPU of the catalog") from None
    return _read(path, stat.st_mtime_ns, stat.st_size)


@cache
def _read(path: str, _changed_ns: int, _size: int) -> Gpu:
    text = text_of(path, MOST_BYTES, _broken)
    raw = shaped(path, lambda: _Profile.model_validate(tomllib.loads(text)), _broken)
    kinds = {key.split("/")[0] for key in raw.curves}
    if raw.version != VERSION or not kinds <= set(Kind) or any("/" not in key for key in raw.curves):
        raise _broken(path, f"it is not of version {VERSION}, or names no kind of operator and format")
    return as_gpu(
        raw.id,
        raw,
        curves={key: curve.model_dump(exclude_none=True) for key, curve in raw.curves.items()},
        bus=raw.bus.model_dump() if raw.bus else None,
    )


def _broken(path: str, why: str) -> FileError:
    return FileError(f"{path} is no hardware profile", why=why, fix="infrascale profile -o FILE, on that machine")
