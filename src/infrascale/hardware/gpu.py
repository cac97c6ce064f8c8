"""Facts about a GPU and the links around it.

In: catalog entries (see `parsing`).    Out: Gpu. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The scale-up link: `bytes_per_s` of one GPU in one direction, among `gpus` neighbours."""

    kind: str
    bytes_per_s: float
    gpus: int


#: What leaves a server where the catalog says nothing else: one 400 Gbit/s InfiniBand or RoCE port for each GPU.
BETWEEN_SERVERS = Link(kind="network", bytes_per_s=50e9, gpus=1 << 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a number is from: `kind` datasheet, measured or estimated; `at` a place; dates as ISO strings.

    `checked`: compared with the source that day; `entered`: only written down that day.
    """

    kind: str
    at: str
    checked: str | None = None
    entered: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Ranges in US dollars for one GPU, low and high."""

    usd_purchase: tuple[float, float] | None = None
    usd_per_hour: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)  # one object a catalog entry: identity is equality
class Gpu:
    """One GPU as the runtime sees it. `flop_per_s`: dense matrix rates by dtype, never with sparsity.

    `offered`: among what may be bought when nobody names a kind. `curves` by kind/format and `bus` are its own, where
    someone measured this very card (`infrascale profile`): they refine those of its generation. `bus`: latency [s] and
    share of the link's rate, by GPUs in the group.
    """

    id: str
    name: str
    vendor: str
    architecture: str
    form_factor: str
    hbm_bytes: float
    hbm_bytes_per_s: float
    flop_per_s: Mapping[str, float]
    power_w: float
    gpus_per_server: int
    link: Link
    aliases: tuple[str, ...] = ()
    idle_power_w: float | None = None
    released: int | None = None
    offered: bool = True
    notes: str = ""
    price: Price | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    bus: Mapping[str, Mapping[int, float]] | None = None

    def rate(self, dtype: str) -> float:
        """Dense rate of the arithmetic that stands in for `dtype` where the chip lacks it [FLOP/s]."""
        return next(self.flop_per_s[d] for d in (dtype, "bf16", "fp16", "fp32") if d in self.flop_per_s)

    def link_for(self, gpus: int) -> Link:
        """The slowest link a collective over `gpus` has to cross."""
        if gpus <= self.link.gpus:
            return self.link
        if gpus <= self.gpus_per_server and self.link.kind == "nvlink-bridge":
            return Link(
                kind="pcie",
                bytes_per_s=64e9 if self.flop_per_s.get("fp8") else 32e9,
                gpus=self.gpus_per_server,
            )
        return BETWEEN_SERVERS
