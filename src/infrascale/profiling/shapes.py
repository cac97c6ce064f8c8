"""What a profile measures: shapes of operators as models have them, and the Work each asks of the card.

In: the kind of device and the bytes that may be used.    Out: shapes, small ones first.
The Work is that of `model.blocks`, so a curve that fits these seconds is the one a model is timed with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import astuple, dataclass

from infrascale.work import Kind, Work

BYTES = 2  # an element in bf16
HEAD = 128
GATE = 3.5  # inner over hidden width of a feed-forward block: Llama's, Mistral's and Qwen's lie at 2.7 to 5.5


@dataclass(frozen=True, slots=True)
class Gemm:
    """`rows` tokens through a weight of `outputs` × `inputs`."""

    rows: int
    inputs: int
    outputs: int

    kind = Kind.GEMM

    @property
    def work(self) -> Work:
        weights = self.inputs * self.outputs
        moved = BYTES * (weights + self.rows * (self.inputs + self.outputs))
        return Work(
            name="gemm",
            kind=self.kind,
            flop=2 * self.rows * weights,
            hbm_bytes=moved,
            rows=self.rows,
            depth=self.inputs,
        )


@dataclass(frozen=True, slots=True)
class Decode:
    """One new token of each of `seqs` sequences reads `context` tokens of cache."""

    seqs: int
    context: int
    heads: int
    kv_heads: int

    kind = Kind.DECODE_ATTENTION

    @property
    def work(self) -> Work:
        read = self.seqs * self.context
        moved = 2 * HEAD * BYTES * (self.kv_heads * read + self.heads * self.seqs)
        return Work(name="decode", kind=self.kind, flop=4 * self.heads * HEAD * read, hbm_bytes=moved, rows=self.seqs)


@dataclass(frozen=True, slots=True)
class Prefill:
    """A prompt of `tokens` looks back at itself."""

    tokens: int
    heads: int
    kv_heads: int

    kind = Kind.PREFILL_ATTENTION

    @property
    def work(self) -> Work:
        pairs = self.tokens * (self.tokens + 1) / 2
        moved = 2 * HEAD * BYTES * self.tokens * (self.kv_heads + self.heads)
        flop = 4 * self.heads * HEAD * pairs
        return Work(name="prefill", kind=self.kind, flop=flop, hbm_bytes=moved, rows=self.tokens, depth=self.tokens)


@dataclass(frozen=True, slots=True)
class Between:
    """What stands between the matrix products of a block when nothing is fused, as engines run it on a CPU.

    A residual, a norm in fp32, and half a gate of `GATE` × `width` (of two blocks of a layer, one has it). The Work is
    the model's, which counts the bytes of the fused operators that GPUs run.
    """

    rows: int
    width: int

    kind = Kind.ELEMENTWISE

    @property
    def work(self) -> Work:
        return Work(name="between", kind=self.kind, hbm_bytes=4 * BYTES * self.rows * self.width, rows=self.rows)


@dataclass(frozen=True, slots=True)
class Sum:
    """Two vectors of `elements` added into a third: what is left of an operator without arithmetic."""

    elements: int

    kind = Kind.ELEMENTWISE

    @property
    def work(self) -> Work:
        return Work(name="sum", kind=self.kind, hbm_bytes=3 * BYTES * self.elements)


Shape = Gemm | Decode | Prefill | Between | Sum


def numbers(shape: Shape) -> list[int]:
    return list(astuple(shape))


def shapes(device: str, most_bytes: float) -> list[Shape]:
    """Every shape that fits in `most_bytes`, alone."""
    every = [*_sums(device), *_betweens(device), *_gemms(device), *_decodes(device), *_prefills(device)]
    return [shape for shape in every if shape.work.hbm_bytes <= most_bytes]


def _gemms(device: str) -> Iterator[Gemm]:
    """Projections of models from half a billion parameters up, under steps of one token to a full one."""
    if device == "cpu":
        sizes = ((512, 1024), (512, 3072), (1536, 512), (512, 8064), (2048, 2048), (2048, 8192))
        rows = (1, 4, 16, 64, 256, 1024)
    else:
        sizes = ((1024, 1024), (2048, 2048), (4096, 4096), (4096, 28672), (14336, 4096), (8192, 8192), (8192, 57344))
        rows = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
    return (Gemm(r, inputs, outputs) for inputs, outputs in sizes for r in rows)


def _decodes(device: str) -> Iterator[Decode]:
    heads = ((8, 2),) if device == "cpu" else ((32, 8), (8, 1), (64, 8))
    seqs = (1, 4, 16, 64) if device == "cpu" else (1, 4, 16, 64, 256)
    contexts = (64, 256, 1024, 4096) if device == "cpu" else (128, 512, 2048, 8192, 32768)
    return (Decode(s, c, *h) for h in heads for s in seqs for c in contexts)


def _prefills(device: str) -> Iterator[Prefill]:
    heads = ((8, 2),) if device == "cpu" else ((32, 8), (8, 1), (64, 8))
    tokens = (32, 64, 128, 256, 512, 1024, 2048) if device == "cpu" else (128, 256, 512, 1024, 2048, 4096, 8192, 16384)
    return (Prefill(t, *h) for h in heads for t in tokens)


def _sums(device: str) -> Iterator[Sum]:
    most = 26 if device == "cpu" else 29
    return (Sum(2**exponent) for exponent in range(10, most + 1, 2))


def _betweens(device: str) -> Iterator[Between]:
    """On a CPU alone: GPUs' engines have kernels of their own for these."""
    rows, widths = ((1, 16, 64, 256, 1024), (512, 2048)) if device == "cpu" else ((), ())
    return (Between(r, width) for width in widths for r in rows)
