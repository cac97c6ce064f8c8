"""A Calibration as a small TOML, with where it comes from; and back, checked.

In, out: the file that `infrascale calibrate -o` writes and `--calibration` takes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from math import exp
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale.calibration.own import NAMES, Calibration
from infrascale.errors import FileError

VERSION = 1
MOST_BYTES = 1 << 20
Log = Annotated[float, Field(ge=-5, le=5)]
Spread = Annotated[float, Field(gt=0, le=5)]
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
    gpus: list[Annotated[int, Field(ge=1, le=1 << 20)]] = []  # files before this key: any number
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
        f"gpus = {list(found.gpus)}",
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
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise _broken(path, "it is larger than 1 MiB")
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="check the path") from None
    except ValueError as error:
        raise _broken(path, str(error)[:200]) from None
    return parsed(path, text)


def parsed(path: str, text: str) -> Calibration:
    """The Calibration of a file's text; `path` is what messages call it."""
    try:
        raw: Mapping[str, object] = tomllib.loads(text)
        saved = _Saved.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(path, f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise _broken(path, str(error)[:200]) from None
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
        gpus=tuple(saved.gpus),
    )


def _broken(path: str, why: str) -> FileError:
    return FileError(f"{path} is no calibration", why=why, fix="infrascale calibrate results/*.json … -o ours.toml")
