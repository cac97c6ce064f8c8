"""Typical requests, from the catalog's table: lengths, cached share; promise and rate where the source has them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from typing import Any

from infrascale import catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What users of a case do and are promised: the slower ends of the source's ranges."""

    active_fraction: float
    request_per_user_min: float
    ttft_s: float
    token_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCase:
    """A request as it is on average. `prefix_hit` 0 where the source names no share."""

    isl: float
    osl: float
    prefix_hit: float
    source: str
    habits: Habits | None

    @property
    def lengths(self) -> dict[str, float]:
        """The keys of scenario.toml that a request of this kind sets."""
        return {"isl": self.isl, "osl": self.osl, "prefix_hit": self.prefix_hit}


@cache
def use_cases() -> dict[str, UseCase]:
    table = tomllib.loads((catalog.DATA / "usecases.toml").read_text(encoding="utf-8"))
    return {name: _case(entry) for name, entry in table.items()}


def _case(entry: dict[str, Any]) -> UseCase:
    own = {key: float(entry[key]) for key in ("isl", "osl", "prefix_hit")}
    habits = {key: float(value) for key, value in entry.items() if key not in (*own, "source")}
    return UseCase(**own, source=entry["source"], habits=Habits(**habits) if habits else None)
