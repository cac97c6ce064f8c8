"""What a report is made of, before any format: a few kinds of block. Text may hold **strong** words, nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer in a sentence, and the few figures beside it as (label, value, remark)."""

    text: str
    figures: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """`numeric`: columns set to the right. `strong`: rows set in bold. `fine`: small print."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: frozenset[int] = frozenset()
    strong: frozenset[int] = frozenset()
    fine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A drawing as SVG; `alt` says in words what it shows."""

    name: str
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    text: str


Block = Heading | Text | Answer | Bullets | Table | Figure | Code


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    language: str
    title: str
    subtitle: str
    footer: str
    blocks: tuple[Block, ...]


def spans(text: str) -> list[tuple[str, bool]]:
    """Pieces of a text and whether each is strong."""
    return [(piece, bool(i % 2)) for i, piece in enumerate(re.split(r"\*\*", text)) if piece]
