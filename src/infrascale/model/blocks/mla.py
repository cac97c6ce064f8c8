"""Multi-head latent attention (DeepSeek V2/V3, Kimi K2, GLM-4.7-Flash and later): one small latent vector a token.

Decoding runs absorbed (every head reads the same latent), prefilling expands it to full heads.
With `index_heads` (DeepSeek V3.2, GLM-5), a small indexer picks `index_topk` tokens for the attention to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from infrascale.model.blocks.block import Block, causal_pairs, sequence_span
from infrascale.work import Batch, Kind, Linear, Numerics, Part, Shard, Work


@dataclass(frozen=True, kw_only=True)
class Mla(Block):
    """`q_lora_rank` 0: queries are projected directly."""

    hidden: int
    heads: int
    q_lora_rank: int
    kv_lora_rank: int
    nope_dim: int
    rope_dim: int
    value_dim: int
    index_heads: int = 0
    index_dim: int = 0
    index_topk: int = 0
    norm_params: int = 0

    @property
    def latent(self) -> int:
        return self.kv_lora_rank + self.rope_dim

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        queries = self.heads * (self.nope_dim + self.rope_dim)
        up = self.heads * (self.nope_dim + self.value_dim)
        a, part = self.q_lora_rank, Part.ATTENTION
        found = [
            Linear(name="qkv_a", inputs=self.hidden, outputs=a + self.latent, part=part, cut=False),
            Linear(name="q_b", inputs=a or self.hidden, outputs=queries, part=part),
            Linear(name="kv_b", inputs=self.kv_lora_rank, outputs=up, part=part),
            Linear(name="o", inputs=self.heads * self.value_dim, outputs=self.hidden, part=part, inner=True),
        ]
        if self.index_heads:
            width = self.index_heads * self.index_dim
            found += [
                Linear(name="index_q", inputs=a or self.hidden, outputs=width, part=part, cut=False),
                Linear(
                    name="index_k",
                    inputs=self.hidden,
                    outputs=self.index_dim + self.index_heads,
                    part=part,
                    cut=False,
                ),
            ]
        return tuple(found)

    def cache_bytes_per_token(self, tp: int, kv_bytes: float) -> float:
        """(kv_lora_rank + rope_dim) · kv_bytes: one latent for all heads, so every tensor-parallel GPU holds a copy.

        DeepSeek-V3 in bf16, one of its 61 layers: (512 + 64) · 2 = 1152 bytes.
        """
        return self.latent * kv_bytes + self.index_dim  # index keys are kept in fp8

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        for linear in self.linears:
            yield linear.work(rank.tokens, shard.tp, numerics)
        heads = self.heads / shard.tp
        if rank.decode_seqs:
            mean = rank.context_tokens / rank.decode_seqs
            read = sequence_span(mean, self.index_topk or None) * rank.decode_seqs
            yield Work(
                name="decode_attention",
                kind=Kind.DECODE_ATTENTION,
                format="mla",
                flop=2 * heads * (self.latent + self.kv_lora_rank) * read,
                hbm_bytes=self.latent * numerics.kv_bytes * read,
                rows=rank.decode_seqs,
            )
            if self.index_heads:
                yield Work(
                    name="index",
                    kind=Kind.DECODE_ATTENTION,
                    dtype="fp8",
                    flop=2 * self.index_heads * self.index_dim * rank.context_tokens,
                    hbm_bytes=self.index_dim * rank.context_tokens,
                    rows=rank.decode_seqs,
                )
        if rank.prefill_tokens:
            chunk = rank.prefill_tokens / rank.prefill_seqs
            pairs = causal_pairs(chunk, rank.prefill_past_tokens, self.index_topk or None) * rank.prefill_seqs
            span = rank.prefill_past_tokens + chunk
            width = self.nope_dim + self.rope_dim + self.value_dim
            yield Work(
                name="prefill_attention",
                kind=Kind.PREFILL_ATTENTION,
                flop=2 * heads * width * pairs,
                hbm_bytes=heads * width * numerics.activation_bytes * (rank.prefill_tokens + span * rank.prefill_seqs),
                rows=span,
                depth=span,
            )
