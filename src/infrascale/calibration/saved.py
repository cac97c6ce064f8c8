"""A Calibration as a small TOML, with where it comes from; and back, checked.

In, out: the file that `infrascale calibrate -o` writes and `--calibration` takes.
"""

from __future__ import annotations

import tomllib
from math import exp
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from infrascale.calibration.own import NAMES, Calibration
from infrascale.errors import FileError
from infrascale.parsing.checked import shaped, text_of

VERSION = 1
MOST_BYTES = 1 << 20
Log = Annotated[float, Field(ge=-5, le=5)]
Spread = Annotated[float, Field(gt=0, le=5)]
Gpus = Annotated[int, Field(ge=1, le=1 << 20)]
Size = Annotated[float, Field(gt=0, le=1e12)]


class _Saved(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    version: int
    made: str
    data_sha256: str
    files: list[str]
    gpu: str
    architecture: str
    model: str
    engine: str
    points: Annotated[int, Field(ge=1)]
    log_multipliers: dict[str, Log]
    noises: dict[str, Spread]
    region: dict[str, tuple[Size, Size]]
    gpus: list[Gpus] = []  # of files before `seen`
    seen: list[tuple[str, Gpus]] = []  # files before both keys: replicas of any size
    covariance: list[list[Annotated[float, Field(ge=-100, le=100)]]]


def as_toml(found: Calibration, *, made: str, data_sha256: str, files: list[str]) -> str:
    """The file's text. Multipliers are also given as factors of time, for people, in comments."""
    import json

    lines = [
        "# What these load tests taught of one deployment; infrascale plan --calibration FILE",
        f"version = {VERSION}",
        f"made = {json.dumps(made)}",
        f"data_sha256 = {json.dumps(data_sha256)}",
        f"files = {json.dumps(files)}",
    ]
    lines += [f"{key} = {json.dumps(getattr(found, key))}" for key in ("gpu", "architecture", "model", "engine")]
    lines += [
        f"points = {found.points}",
        f"seen = {json.dumps([list(pair) for pair in found.seen])}",
        f"covariance = {json.dumps(found.covariance)}",
        "",
        "[log_multipliers]",
    ]
    lines += [f"{k} = {v!r}  # × {exp(v):.3f}" for k, v in zip(NAMES, found.multipliers, strict=True)]
    lines += ["", "[noises]", *(f"{k} = {v!r}" for k, v in found.noises.items())]
    lines += ["", "[region]", *(f"{k} = {list(v)}" for k, v in found.region.items())]
    return "\n".join(lines) + "\n"


def read_calibration(path: str) -> Calibration:
    """The Calibration in this file, or what is wrong with it."""
    return parsed(path, text_of(path, MOST_BYTES, _broken))


def parsed(path: str, text: str) -> Calibration:
    """The Calibration of a file's text; `path` is what messages call it."""
    saved = shaped(path, lambda: _Saved.model_validate(tomllib.loads(text)), _broken)
    square = len(saved.covariance) == len(NAMES) and all(len(row) == len(NAMES) for row in saved.covariance)
    named = set(saved.log_multipliers) == set(NAMES) and set(saved.noises) == {"tpot", "ttft"}
    if saved.version != VERSION or not square or not named or set(saved.region) != {"isl", "osl", "concurrency"}:
        raise _broken(path, f"it is not of version {VERSION}, or a part is missing")
    return Calibration(
        gpu=saved.gpu,
        architecture=saved.architecture,
        model=saved.model,
        engine=saved.engine,
        points=saved.points,
        multipliers=tuple(saved.log_multipliers[name] for name in NAMES),
        covariance=saved.covariance,
        noises=saved.noises,
        region=saved.region,
        seen=tuple(saved.seen) or tuple((saved.model, gpus) for gpus in saved.gpus),
    )


def _broken(path: str, why: str) -> FileError:
    return FileError(f"{path} is no calibration", why=why, fix="infrascale calibrate results/*.json … -o ours.toml")
