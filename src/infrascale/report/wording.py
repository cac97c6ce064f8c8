"""The report's words, one file a language in words/, and each language's way of writing numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from infrascale.units import GIB

NARROW = "\u202f"  # French puts it between thousands, before : ; ? ! and %


MONTHS = (
    "janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre",
    "décembre",
)  # fmt: skip


@cache
def vocabulary(language: str) -> Mapping[str, str]:
    """Every text of a language by key."""
    return tomllib.loads((Path(__file__).parent / "words" / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def languages() -> tuple[str, ...]:
    """Those that have a file."""
    return tuple(sorted(path.stem for path in (Path(__file__).parent / "words").glob("*.toml")))


@dataclass(frozen=True, slots=True)
class Words:
    """One language: `words("key", blank=…)` for text, and its way of writing numbers."""

    language: str

    def __call__(self, key: str, **values: object) -> str:
        return self.spaced(vocabulary(self.language)[key].format(**values))

    def spaced(self, text: str) -> str:
        """French: spaces that must not break."""
        if self.language != "fr":
            return text
        for sign in (":", ";", "?", "!", "%", "»"):
            text = text.replace(f" {sign}", f"{NARROW}{sign}")
        return text.replace("« ", f"«{NARROW}")

    def number(self, value: float, digits: int = 0) -> str:
        text = f"{value:,.{digits}f}"
        return text.replace(",", NARROW).replace(".", ",") if self.language == "fr" else text

    def short(self, value: float) -> str:
        """A number as an axis has it: as many digits as it needs."""
        if value == round(value) or abs(value) >= 1000:
            return self.number(value)
        return self.number(value, 1 if abs(value) >= 0.1 else 2)

    def share(self, fraction: float) -> str:
        return self.spaced(f"{self.number(100 * fraction)} %") if self.language == "fr" else f"{fraction:.0%}"

    def count(self, key: str, n: int) -> str:
        return self(f"{key}_1") if n == 1 else self(f"{key}_n", n=self.number(n))

    def quantity(self, value: float, unit: str) -> str:
        if unit == "bytes":
            return f"{self.number(value / GIB, 1)} {'Gio' if self.language == 'fr' else 'GiB'}"
        if unit == "s":
            return f"{self.number(value, 2)} s"
        if unit == "token_per_s":
            return f"{self.number(value, 1)} tokens/s"
        if unit == "gpus":
            return self.count("gpus", round(value))
        return self.number(value)

    def date(self, on: date) -> str:
        if self.language != "fr":
            return f"{on.day} {on:%B} {on.year}"
        return f"{'1er' if on.day == 1 else on.day} {MONTHS[on.month - 1]} {on.year}"
