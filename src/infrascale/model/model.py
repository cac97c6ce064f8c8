"""A language model as serving sees it: an embedding, groups of blocks, a head.

In: facts, from a catalog entry or a Hugging Face config.json (see `parsing`).    Out: parameters, cache, work.
A hybrid (sliding and full attention, dense then sparse, recurrent and attention) is data here, not a class.
Knows no GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from infrascale.model.blocks.block import Block
from infrascale.precision import PRECISIONS
from infrascale.work import Batch, Kind, Linear, Message, Numerics, Part, Shard, Work

#: Parts that `--precision` quantises where a checkpoint does not say otherwise: all GEMMs of the layers.
LAYER_PARTS = frozenset({Part.ATTENTION, Part.DENSE, Part.EXPERTS, Part.SHARED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """Which parts are stored in `precision`; all others keep the model's own 16-bit format.

    `also`: further parts in another format, where a checkpoint mixes them (4-bit experts, 8-bit attention). `block`:
    fp8 with a scale for each 128×128 block, whose kernels are others than those of one scale a tensor or channel.
    """

    precision: str
    parts: frozenset[Part] = LAYER_PARTS
    also: Quantization | None = None
    block: bool = False

    def of(self, part: Part) -> str | None:
        """The format that `part` is stored in, None for the model's own."""
        if part in self.parts:
            return self.precision
        return self.also.of(part) if self.also else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """`count` identical layers, each a sequence of blocks (usually a mixer and a feed-forward)."""

    count: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model's architecture. `resident_params`: weights held but not run for text (a vision encoder).

    `assumed`: only its size is known, its shape is that of most models of the size.
    """

    id: str
    hidden: int
    vocab: int
    groups: tuple[Group, ...]
    max_model_len: int
    heads: int
    kv_heads: int
    tied_embeddings: bool = False
    resident_params: int = 0
    extra_embedding_params: int = 0  # per-layer embeddings and the like: held, looked up, never multiplied
    native: Quantization = field(default_factory=lambda: Quantization(precision="bf16"))
    head_bias: bool = False
    assumed: bool = False
    samples_likeliest: bool = False  # its published generation settings keep the likeliest tokens only (top-k, top-p)

    @cached_property
    def layers(self) -> int:
        return sum(group.count for group in self.groups)

    @cached_property
    def blocks(self) -> tuple[tuple[int, Block], ...]:
        """Every distinct block with the number of layers that hold it."""
        return tuple((group.count, block) for group in self.groups for block in group.blocks)

    @cached_property
    def head(self) -> Linear:
        return Linear(name="head", inputs=self.hidden, outputs=self.vocab, part=Part.HEAD, bias=self.head_bias)

    @cached_property
    def embedding_params(self) -> int:
        tables = 1 if self.tied_embeddings else 2
        return tables * self.vocab * self.hidden + self.hidden  # + the last norm

    @cached_property
    def params(self) -> int:
        """All parameters of the checkpoint, vision encoders included."""
        return (
            sum(count * block.params for count, block in self.blocks)
            + self.embedding_params
            + self.resident_params
            + self.extra_embedding_params
        )

    @cached_property
    def active_params(self) -> int:
        """Parameters one text token passes through, embeddings counted once."""
        return sum(count * block.active_params for count, block in self.blocks) + self.vocab * self.hidden

    @property
    def is_moe(self) -> bool:
        return any(block.params != block.active_params for _, block in self.blocks)

    def kv_bytes_per_token(self, kv_bytes: float = 2.0, tp: int = 1) -> float:
        """KV cache of one token on one GPU, layers without a window only count fully while the window lasts [bytes].

        Sum of the blocks' own. Llama-3-8B in bf16: 32 · 4096 = 131 072.
        """
        return sum(count * block.cache_bytes_per_token(tp, kv_bytes) for count, block in self.blocks)

    def cache_bytes(self, tokens: float, kv_bytes: float, tp: int = 1) -> float:
        """What one sequence of `tokens` holds on one GPU: windows capped, recurrent states included [bytes]."""
        total = 0.0
        for count, block in self.blocks:
            window = block.window_tokens
            span = tokens if window is None else min(tokens, window)
            total += count * (block.cache_bytes_per_token(tp, kv_bytes) * span + block.state_bytes_per_seq(tp))
        return total

    def weight_bytes_per_gpu(self, shard: Shard, numerics: Numerics) -> float:
        """Weights on the fullest GPU of a replica [bytes]; pipeline stages share layers, the ends hold the tables."""
        layers = sum(count * block.weight_bytes_per_gpu(shard, numerics) for count, block in self.blocks)
        table = self.vocab * self.hidden / shard.tp * numerics.weight_bytes[Part.HEAD]
        tables = table if (shard.pp > 1 or self.tied_embeddings) else 2 * table
        other = (self.resident_params / shard.tp + self.extra_embedding_params) * numerics.weight_bytes[Part.OTHER]
        return layers / shard.pp + tables + other

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        """What one step asks of one GPU, over all layers.

        Under pipeline parallelism the engine keeps `pp` smaller batches in flight; a step is then one token for all
        of them: every layer once for each share of the batch.
        """
        share = batch.divided(shard.pp)
        rank = share.divided(shard.dp)
        for count, block in self.blocks:
            for work in block.work(share, shard, numerics):
                yield _times(work, count)
            yield from self._around(block, count, rank, shard, numerics)
        yield self.head.work(max(rank.seqs, 1.0), shard.tp, numerics)
        yield Work(  # logits in fp32, written once, read about three times; on every GPU, for the whole vocabulary
            name="sample",
            kind=Kind.ELEMENTWISE,
            format="likeliest" if self.samples_likeliest else "bf16",
            hbm_bytes=16.0 * self.vocab * rank.seqs,
            rows=rank.seqs,
        )
        if shard.pp > 1:
            hop = rank.tokens * self.hidden * numerics.activation_bytes / shard.tp
            yield Work(
                name="pipeline",
                kind=Kind.COMMUNICATION,
                count=shard.pp - 1,
                message=Message(pattern="p2p", message_bytes=hop, gpus=2),
            )

    def _around(self, block: Block, count: int, rank: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        """Norms and residuals around a block, and its sum over the tensor-parallel group."""
        hidden_bytes = rank.tokens * self.hidden * numerics.activation_bytes
        yield Work(
            name="norm_residual",
            kind=Kind.ELEMENTWISE,
            hbm_bytes=4 * hidden_bytes,
            rows=rank.tokens,
            count=count,
        )
        if shard.tp > 1:
            yield Work(
                name="all_reduce",
                kind=Kind.COMMUNICATION,
                count=count,
                message=Message(pattern="all_reduce", message_bytes=hidden_bytes, gpus=shard.tp),
            )


def _times(work: Work, count: float) -> Work:
    from dataclasses import replace

    return replace(work, count=work.count * count)


def numerics(
    quantization: Quantization, dense_flop_per_s: dict[str, float], kv_bytes: float, base: str = "bf16"
) -> Numerics:
    """Formats in force on a chip with these dense rates per dtype: the first arithmetic it has, per part."""

    def arithmetic(choices: tuple[str, ...]) -> str:
        return next((dtype for dtype in choices if dtype in dense_flop_per_s), "fp32")

    parts = {part: PRECISIONS[quantization.of(part) or base] for part in Part}
    return Numerics(
        weight_bytes={part: p.weight_bytes_per_param for part, p in parts.items()},
        compute={part: arithmetic(p.compute) for part, p in parts.items()},
        weight_format={
            part: "fp8_block" if quantization.block and p.name == "fp8" else p.name for part, p in parts.items()
        },
        kv_bytes=kv_bytes,
        activation_bytes=4.0 if base == "fp32" else 2.0,
    )
