"""How much of a datasheet a kernel reaches: efficiency curves, and the seconds they give.

In: Work (what is asked), Gpu (what the sheet promises).    Out: seconds.
Idea: an operator runs into two walls, memory and arithmetic, after a launch:

    t = launch + ((bytes / (e_b·bandwidth))^p + (flop / (e_f·peak) + c_k·depth)^p)^(1/p)
    e_b = bytes_fraction · bytes / (bytes + bytes_half)         small transfers do not fill the memory pipes
    e_f = flop_fraction · rows / (rows + rows_half)             short operands do not fill the tensor cores
    c_k = depth_s                                               one tile walks the inner dimension of a GEMM alone
    launch = launch_s + row_s·rows + element_s·rows·depth       per sequence of attention; to quantise activations

A collective takes its latency and then moves its bytes over the links. The curves are data, fitted to published
measurements (`calibration`); the arithmetic works on floats and on NumPy arrays alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf, log2
from weakref import WeakKeyDictionary

from infrascale.hardware.gpu import Gpu, Link
from infrascale.work import Batch, Kind, Message, Shard, Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What end-to-end measurements multiply an operator's times by: its launch, its bytes, its arithmetic."""

    launch: float = 1.0
    moving: float = 1.0
    computing: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One operator kind's efficiency. Fractions are of the datasheet's bandwidth and dense rate, 0…1.

    `most_bytes_per_s` caps kernels that cannot stream faster on any chip of their kind.
    """

    launch_s: float = 0.0
    bytes_fraction: float = 0.8
    bytes_half: float = 0.0
    flop_fraction: float = 0.7
    rows_half: float = 0.0
    exponent: float = 2.0
    depth_s: float = 0.0
    row_s: float = 0.0
    element_s: float = 0.0
    most_bytes_per_s: float = inf

    def scaled(self, scale: Scale) -> Curve:
        return replace(
            self,
            launch_s=self.launch_s * scale.launch,
            row_s=self.row_s * scale.launch,
            element_s=self.element_s * scale.launch,
            bytes_fraction=self.bytes_fraction / scale.moving,
            most_bytes_per_s=self.most_bytes_per_s / scale.moving,
            flop_fraction=self.flop_fraction / scale.computing,
            depth_s=self.depth_s * scale.computing,
        )

    def walls(self, work: Work, gpu: Gpu) -> tuple[float, float]:
        """Seconds that one execution needs for its bytes alone, and for its arithmetic alone."""
        rate = min(self.bytes_fraction * gpu.hbm_bytes_per_s, self.most_bytes_per_s)
        moving = (work.hbm_bytes + self.bytes_half) / rate
        if not work.flop:
            return moving, 0.0
        rate = self.flop_fraction * gpu.rate(work.dtype)
        stretched = work.flop * (1 + self.rows_half / work.rows) if self.rows_half else work.flop
        return moving, stretched / rate + self.depth_s * work.depth

    def overhead_s(self, work: Work) -> float:
        """What an execution costs before bytes and arithmetic [s]."""
        return self.launch_s + self.row_s * work.rows + self.element_s * work.rows * work.depth

    def bound(self, gpu: Gpu, dtype: str) -> Law:
        """`seconds` of flop, hbm_bytes, rows and depth on one chip in one format: what it costs to ask a million times.

        That both say the same is tested where steps are compared operator by operator.
        """
        launch_s, row_s, element_s, depth_s = self.launch_s, self.row_s, self.element_s, self.depth_s
        half, rows_half, p, root = self.bytes_half, self.rows_half, self.exponent, 1 / self.exponent
        moved_s = 1 / min(self.bytes_fraction * gpu.hbm_bytes_per_s, self.most_bytes_per_s)
        computed_s = 1 / (self.flop_fraction * gpu.rate(dtype))

        def seconds(flop: float, hbm_bytes: float, rows: float, depth: float) -> float:
            moving, overhead_s = (hbm_bytes + half) * moved_s, launch_s + rows * (row_s + element_s * depth)
            if not flop:
                return overhead_s + moving
            stretched = flop * (1 + rows_half / rows) if rows_half else flop
            computing = stretched * computed_s + depth_s * depth
            return overhead_s + (moving + computing if p == 1 else (moving**p + computing**p) ** root)

        return seconds

    def seconds(self, work: Work, gpu: Gpu) -> float:
        """Time of one execution [s]."""
        moving, computing = self.walls(work, gpu)
        p = self.exponent
        return self.overhead_s(work) + (moving**p + computing**p) ** (1 / p)


#: Seconds of one execution by its flop, hbm_bytes, rows and depth.
Law = Callable[[float, float, float, float], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collective:
    """A link kind's behaviour by group size: latency and the share of the link's rate that the bus reaches.

    Long messages, a prompt's, go another way, slower to start and then faster (NCCL over the switch instead of vLLM's
    own kernel): `far_latency_s` and `far_fraction`, where that is known. The quicker of both is taken; a scale of both
    parts alike does not change which.
    """

    latency_s: Mapping[int, float]
    bus_fraction: Mapping[int, float]
    far_latency_s: Mapping[int, float] = field(default_factory=dict)
    far_fraction: Mapping[int, float] = field(default_factory=dict)

    def seconds(self, message: Message, link: Link) -> float:
        """latency(n) + traffic / (fraction(n) · link), traffic of a ring: 2(n−1)/n bytes for an all-reduce."""
        return sum(self.walls(message, link))

    def scaled(self, scale: Scale) -> Collective:
        return Collective(
            latency_s={n: seconds * scale.launch for n, seconds in self.latency_s.items()},
            bus_fraction={n: share / scale.moving for n, share in self.bus_fraction.items()},
            far_latency_s={n: seconds * scale.launch for n, seconds in self.far_latency_s.items()},
            far_fraction={n: share / scale.moving for n, share in self.far_fraction.items()},
        )

    def bound(self, pattern: str, gpus: int, link: Link) -> Callable[[float], float]:
        """`seconds` of a message's bytes, for one pattern and group: the lower of two straight lines, or one."""
        lines = self._lines(Message(pattern=pattern, message_bytes=1.0, gpus=gpus), link)
        if len(lines) == 1:
            ((latency_s, byte_s),) = lines
            return lambda message_bytes: latency_s + message_bytes * byte_s
        (near_s, near_byte_s), (far_s, far_byte_s) = lines
        return lambda message_bytes: min(near_s + message_bytes * near_byte_s, far_s + message_bytes * far_byte_s)

    def walls(self, message: Message, link: Link) -> tuple[float, float]:
        """Latency, and seconds that the bytes take on the links."""
        return min(self._lines(message, link), key=sum)

    def _lines(self, message: Message, link: Link) -> list[tuple[float, float]]:
        """Both ways of a message, or the one that is known."""
        n = message.gpus
        ring = (n - 1) / n
        share = {"all_reduce": 2 * ring, "all_gather": ring, "all_to_all": ring, "p2p": 1.0}[message.pattern]
        ways = [(self.latency_s, self.bus_fraction)]
        if self.far_fraction and message.pattern == "all_reduce":
            ways.append((self.far_latency_s, self.far_fraction))
        traffic_s = share * message.message_bytes / link.bytes_per_s
        return [(_by_size(latency, n), traffic_s / _by_size(fraction, n)) for latency, fraction in ways]


def _by_size(table: Mapping[int, float], n: int) -> float:
    """Straight line in log2(n) between tabulated group sizes, flat outside them."""
    if n in table:
        return table[n]
    below = max((k for k in table if k < n), default=min(table))
    above = min((k for k in table if k > n), default=max(table))
    if below == above or n < below or n > above:
        return table[below if n > below else above]
    weight = (log2(n) - log2(below)) / (log2(above) - log2(below))
    return table[below] * (1 - weight) + table[above] * weight


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What an engine spends outside kernels: each step, for each sequence in it, and for each new prompt.

    `parallel_s`: to hand a step's inputs to the other workers. `token_s`: for each token of cache in the step, where
    block tables are rebuilt in Python. `layer_s`: to launch a layer's kernels one by one, where no CUDA graph does; a
    step takes at least so long for each layer. `prompt_layer_s`: the same for steps that carry prompts, where graphs
    cover decoding only. Attention-data-parallel ranks schedule their own sequences side by side,
    but for an engine that `gathers` all answers in one of them (TensorRT-LLM's PyExecutor). `handover_s`: to pass a
    request from the pool that read its prompt to the one that answers, beside moving the cache: routers, connections.
    """

    step_s: float = 0.0015
    seq_s: float = 6e-6
    request_s: float = 0.015
    prompt_token_s: float = 2e-6
    parallel_s: float = 0.0
    token_s: float = 0.0
    layer_s: float = 0.0
    prompt_layer_s: float = 0.0
    handover_s: float = 0.0
    gathers: bool = False

    def launches_s(self, batch: Batch, layers: float) -> float:
        """The least that a step over `layers` takes, however quick its kernels [s]."""
        return layers * max(self.layer_s, self.prompt_layer_s if batch.prefill_tokens else 0.0)

    def ranks(self, shard: Shard) -> int:
        """Schedulers that share the sequences of a step."""
        return 1 if self.gathers else shard.dp

    def of_step_s(self, batch: Batch, shard: Shard) -> float:
        """A step of an engine [s]."""
        parallel = self.parallel_s if shard.gpus > 1 else 0.0
        own = (self.seq_s * batch.seqs + self.token_s * batch.context_tokens) / self.ranks(shard)
        return self.step_s + parallel + own


@dataclass(frozen=True, kw_only=True)
class Efficiency:
    """All curves. Keys go from general to particular: `gemm`, `gemm/fp8`, `gemm@ampere`, `gemm/fp8@ampere`.

    `gemm@amd` is a vendor's, `gemm@a100-sxm-40gb` one card's; `moe:trtllm` an engine's and `gemm@amd:vllm<0.6` what a
    vendor's chips reached under an engine's early releases. Hosts know
    releases too: `vllm<0.6`, `vllm>=0.15`; `vllm` is the average of the others.
    """

    curves: Mapping[str, Mapping[str, float]]
    collectives: Mapping[str, Collective]
    hosts: Mapping[str, Host]
    scales: Mapping[str, Scale] = field(default_factory=dict)  # by kind, and by kind/format
    factors: Mapping[str, float] = field(default_factory=dict)  # of arithmetic's time: `moe:trtllm`, `moe:trtllm<1`
    tables: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # the card that an architecture's curves are of
    laws: Mapping[str, float] = field(default_factory=dict)  # of queueing at arrival and of power, see `serving`
    origin: str = ""
    _known: WeakKeyDictionary[Gpu, dict[tuple[object, ...], Law]] = field(
        default_factory=WeakKeyDictionary, init=False, repr=False, compare=False
    )

    def law(self, kind: Kind, format: str, dtype: str, gpu: Gpu, software: tuple[str, ...] = ()) -> Law:
        """Seconds of one operator by its amounts on one chip, remembered: deployments of a GPU share them."""
        known = self._known.setdefault(gpu, {})
        key = (kind, format, dtype, software)
        if key not in known:
            known[key] = self.curve(kind, format, gpu, software).bound(gpu, dtype)
        return known[key]

    def curve(self, kind: Kind, format: str, gpu: Gpu, software: Sequence[str] = ()) -> Curve:
        """The most particular curve there is, each key refining the more general ones; last what was measured of it."""
        curve = Curve()
        places = ("", f"@{gpu.vendor}", f"@{gpu.architecture}", f"@{gpu.id}", *_under(gpu, software))
        for key in (f"{name}{place}" for place in places for name in (kind, f"{kind}/{format}")):
            if key in self.curves:
                curve = replace(curve, **self.curves[key])
        for name in (kind, f"{kind}/{format}"):
            known = [self.factors[key] for key in (f"{name}:{word}" for word in software) if key in self.factors]
            if known:
                curve = curve.scaled(Scale(computing=known[-1]))
        curve = replace(curve, flop_fraction=curve.flop_fraction * self.sustained_fraction(gpu))
        curve = replace(curve, **gpu.curves.get(f"{kind}/{format}", {}))
        for key in (kind, f"{kind}/{format}"):
            if key in self.scales:
                curve = curve.scaled(self.scales[key])
        return curve

    def sustained_fraction(self, gpu: Gpu) -> float:
        """What a card's power leaves of the arithmetic that its architecture's tables show, measured on another card.

            min(1, (limit / limit of the tables' card) / (peak / peak of the tables' card))

        H100 PCIe: (350 / 700) / (756 / 989) = 0.65: its sheet promises more than 350 W sustain.
        """
        card = self.tables.get(gpu.architecture)
        return min(1.0, gpu.power_w / card["power_w"] * card["bf16"] / gpu.rate("bf16")) if card else 1.0

    def collective(self, link: Link, gpu: Gpu, software: Sequence[str] = ()) -> Collective:
        """The most particular behaviour of this kind of link there is."""
        places = ("", f"@{gpu.architecture}", *_under(gpu, software))
        known = [key for key in (f"{link.kind}{place}" for place in places) if key in self.collectives]
        found = self.collectives[known[-1]]
        if gpu.bus and link == gpu.link:
            found = Collective(**gpu.bus)
        return found.scaled(self.scales[Kind.COMMUNICATION]) if Kind.COMMUNICATION in self.scales else found

    def software(self, engine: str, version: str | None) -> tuple[str, ...]:
        """The names under which an engine's own curves stand: its own, then its releases', the most particular last."""
        release = release_of(version or "")
        if not release:
            return (engine,)
        late = {key: release_of(key.split(">=")[1]) for key in self.releases if key.startswith(f"{engine}>=")}
        early = {key: release_of(key.split("<")[1]) for key in self.releases if key.startswith(f"{engine}<")}
        return (
            engine,
            *sorted((key for key in late if late[key] <= release), key=late.get),
            *sorted((key for key in early if release < early[key]), key=early.get, reverse=True),
        )

    @cached_property
    def releases(self) -> frozenset[str]:
        """Names that stand for an engine's releases, `vllm<0.6`: of its hosts, and of curves that only they have."""
        named = (key.split(":")[1] for key in (*self.curves, *self.collectives, *self.factors) if ":" in key)
        return frozenset(self.hosts) | frozenset(named)

    def host(self, engine: str, version: str | None = None) -> Host:
        """The engine's own costs; of its most particular releases that are known, else its average."""
        known = [name for name in self.software(engine, version) if name in self.hosts]
        return self.hosts[known[-1] if known else "vllm"]


def _under(gpu: Gpu, software: Sequence[str]) -> list[str]:
    """Where the curves of an engine stand, and then those of its early releases."""
    places = ("", f"@{gpu.vendor}", f"@{gpu.architecture}")
    return [f"{place}:{name}" for name in software for place in places]


def release_of(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparison: 'v0.19.0rc1' → (0, 19, 0), '~0.5' → (0, 5); else empty."""
    numbers: list[int] = []
    for word in version.strip().lstrip("~v").replace("-", ".").replace("+", ".").split("."):
        digits = ""
        for letter in word:
            if not letter.isdigit():
                break
            digits += letter
        if not digits:
            break
        numbers.append(int(digits))
        if len(digits) < len(word):
            break
    return tuple(numbers)
