"""The narrow waist between models and hardware: what one engine step asks of one GPU.

In: Batch (what a step carries), Shard (how a replica is cut), Numerics (which formats).    Out: Work.
A new kind of layer speaks only of Work and never mentions a GPU; a new GPU never mentions a layer.
All amounts are plain numbers, or NumPy arrays of one shape: the arithmetic on them is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of operator, told apart because hardware serves them with different efficiency."""

    GEMM = "gemm"
    MOE = "moe"
    DECODE_ATTENTION = "decode_attention"
    PREFILL_ATTENTION = "prefill_attention"
    RECURRENT = "recurrent"
    ELEMENTWISE = "elementwise"
    COMMUNICATION = "communication"


class Part(StrEnum):
    """Parts of a model that checkpoints quantise, or leave alone, separately."""

    ATTENTION = "attention"
    DENSE = "dense"
    EXPERTS = "experts"
    SHARED = "shared_experts"
    ROUTER = "router"
    HEAD = "head"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One engine step, summed over the engine (all attention-data-parallel ranks).

    `prefill_tokens` new prompt tokens of `prefill_seqs` requests, each with `prefill_past_tokens` already cached;
    one token for each of `decode_seqs` requests that together read `context_tokens` of KV cache.
    """

    prefill_tokens: float = 0.0
    prefill_seqs: float = 0.0
    prefill_past_tokens: float = 0.0
    decode_seqs: float = 0.0
    context_tokens: float = 0.0

    @property
    def tokens(self) -> float:
        return self.prefill_tokens + self.decode_seqs

    @property
    def seqs(self) -> float:
        return self.prefill_seqs + self.decode_seqs

    def divided(self, parts: float) -> Batch:
        """The share of one of `parts` equal ranks: fewer sequences, each as long as before."""
        if parts == 1:
            return self
        return Batch(
            prefill_tokens=self.prefill_tokens / parts,
            prefill_seqs=self.prefill_seqs / parts,
            prefill_past_tokens=self.prefill_past_tokens,
            decode_seqs=self.decode_seqs / parts,
            context_tokens=self.context_tokens / parts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """How one replica is cut. Experts use all tp·dp GPUs of a stage: `ep` ways by expert, the rest by tensor."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.dp

    def __str__(self) -> str:
        """Degrees above 1: TP 4, TP 8 PP 2, DP 8 EP 8."""
        degrees = [f"{name} {n}" for name, n in (("TP", self.tp), ("DP", self.dp), ("EP", self.ep), ("PP", self.pp))
                   if n > 1]  # fmt: skip
        return " ".join(degrees) or "TP 1"

    @property
    def moe_tp(self) -> float:
        return max(1.0, self.tp * self.dp / self.ep)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Formats in force, per part of the model: bytes a weight takes, arithmetic that multiplies it, bytes in the cache.

    `weight_only` parts store fewer bits than they multiply: kernels expand them on the fly.
    """

    weight_bytes: Mapping[Part, float]
    compute: Mapping[Part, str]
    weight_format: Mapping[Part, str]
    kv_bytes: float = 2.0
    activation_bytes: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one operator asks of one GPU, `count` times a step.

    `dtype` names the arithmetic, `format` the stored weights. `rows` is the length along which arithmetic
    efficiency grows: tokens of a GEMM, tokens an expert sees, length of a prompt in attention. `depth` is what one
    tile walks alone: the inner dimension of a GEMM, the keys of a prompt.
    """

    name: str
    kind: Kind
    dtype: str = "bf16"
    format: str = "bf16"
    flop: float = 0.0
    hbm_bytes: float = 0.0
    rows: float = 0.0
    depth: float = 0.0
    count: float = 1.0
    message: Message | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A collective over `gpus` neighbours, each holding `message_bytes`. `pattern`: all_reduce, all_to_all, p2p."""

    pattern: str
    message_bytes: float
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """One weight matrix, `outputs` × `inputs`; tensor parallelism cuts its columns, its rows, or copies it."""

    name: str
    inputs: int
    outputs: int
    part: Part
    cut: bool = True  # False: every GPU of the tensor-parallel group holds a copy
    bias: bool = False
    inner: bool = False  # True: the cut goes through its inputs (row parallel), as in a down projection
    kv_heads: int = field(default=0)  # > 0: a key/value projection, copied where tp exceeds this number

    @property
    def params(self) -> int:
        return self.inputs * self.outputs + (self.outputs if self.bias else 0)

    def params_per_gpu(self, tp: int) -> float:
        if not self.cut:
            return float(self.params)
        ways = min(tp, self.kv_heads) if self.kv_heads else tp
        return self.params / ways

    def work(self, rows: float, tp: int, numerics: Numerics, count: float = 1.0) -> Work:
        """A GEMM of `rows` tokens: 2·rows·params FLOP; weights read once, activations in and out."""
        params = self.params_per_gpu(tp)
        share = params / self.params
        moved = rows * (self.inputs + self.outputs) * share * numerics.activation_bytes
        return Work(
            name=self.name,
            kind=Kind.GEMM,
            dtype=numerics.compute[self.part],
            format=numerics.weight_format[self.part],
            flop=2 * rows * params,
            hbm_bytes=params * numerics.weight_bytes[self.part] + moved,
            rows=rows,
            depth=self.inputs / tp if self.inner else self.inputs,
            count=count,
        )
