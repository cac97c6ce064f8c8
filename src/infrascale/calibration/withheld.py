"""The same rows with something withheld: what an answer owes to measurements of its own chip, or to a cell of its row.

In: the shipped curves, a GPU.    Out: the curves as they would be had nobody measured a chip of its architecture.
Shared curves are medians over all architectures, the withheld one among them, and hosts were fitted on all: what is
left of a chip is little, and its errors come out a little small.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

from infrascale import catalog
from infrascale.hardware import Efficiency, Gpu
from infrascale.model import Model
from infrascale.parsing.gpus import gpu as parsed
from infrascale.parsing.measurements import Asked
from infrascale.uncertainty import Intervals, intervals

T = TypeVar("T")
#: What a row may leave out, and the cells that tell it.
CELLS: Mapping[str, tuple[str, ...]] = {"gpu": ("gpu",), "format": ("weight_precision",)}


@dataclass(frozen=True, slots=True)
class NeverMeasured:
    """Where load tests of one's own would stand (`predicting.Own`): as if no chip of the kind had been measured."""

    def efficiency(
        self, general: Efficiency, gpu: Gpu, model: Model, engine: str | None = None, gpus: int | None = None
    ) -> Efficiency:
        return without(general, gpu)

    def intervals(self, asked: Asked, general: Efficiency) -> Intervals:
        return intervals()


def without(found: Efficiency, gpu: Gpu) -> Efficiency:
    """No curve, collective or table of this architecture, of one of its cards, or of a vendor that has no other."""
    places = _places(gpu.architecture)
    return replace(
        found,
        curves=_elsewhere(found.curves, places),
        collectives=_elsewhere(found.collectives, places),
        tables={name: table for name, table in found.tables.items() if name != gpu.architecture},
    )


def _elsewhere(table: Mapping[str, T], places: Iterable[str]) -> dict[str, T]:
    """The entries that stand at none of these places: `gemm@hopper`, `moe/fp8@hopper:trtllm`."""
    return {key: value for key, value in table.items() if key.partition("@")[2].split(":")[0] not in places}


@cache
def _places(architecture: str) -> frozenset[str]:
    cards = [parsed(stem) for stem in catalog.entries("gpus")]
    own = [card for card in cards if card.architecture == architecture]
    vendors = {card.vendor for card in own} - {"nvidia"}
    return frozenset({architecture, *vendors, *(card.id for card in own)})
