"""Attention whose heads share keys and values in groups: MHA, GQA and MQA, with an optional sliding window."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from infrascale.model.blocks.block import Block, causal_pairs, sequence_span
from infrascale.work import Batch, Kind, Linear, Message, Numerics, Part, Shard, Work


@dataclass(frozen=True, kw_only=True)
class Gqa(Block):
    """Grouped-query attention. `kv_heads` = `heads` is MHA, 1 is MQA.

    `shared_kv`: reads another layer's cache and keeps none (Gemma 3n and 4); `value_from_key`: V is K (Gemma 4);
    `gated`: an output gate as wide as the queries (Qwen 3.5); `norm_across_heads`: queries and keys are normed as wide
    as all their heads (MiniMax M2, OLMo), which tensor parallelism cuts.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int | None = None
    window_tokens: int | None = None
    bias: bool = False
    output_bias: bool = False
    gated: bool = False
    shared_kv: bool = False
    value_from_key: bool = False
    norm_params: int = 0
    norm_across_heads: bool = False

    @property
    def _value_dim(self) -> int:
        return self.value_dim or self.head_dim

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        queries = self.heads * self.head_dim * (2 if self.gated else 1)
        found = [Linear(name="q", inputs=self.hidden, outputs=queries, part=Part.ATTENTION, bias=self.bias)]
        if not self.shared_kv:
            width = self.kv_heads * (self.head_dim + (0 if self.value_from_key else self._value_dim))
            found.append(
                Linear(
                    name="kv", inputs=self.hidden, outputs=width, part=Part.ATTENTION, bias=self.bias,
                    kv_heads=self.kv_heads,
                )
            )  # fmt: skip
        found.append(
            Linear(
                name="o", inputs=self.heads * self._value_dim, outputs=self.hidden, part=Part.ATTENTION,
                bias=self.output_bias, inner=True,
            )
        )  # fmt: skip
        return tuple(found)

    def cache_bytes_per_token(self, tp: int, kv_bytes: float) -> float:
        """2 · kv_heads · head_dim · kv_bytes, heads split over tp and copied beyond.

        Llama-3-8B in bf16, one of its 32 layers: 2 · 8 · 128 · 2 = 4096 bytes.
        """
        if self.shared_kv:
            return 0.0
        return max(1.0, self.kv_heads / tp) * (self.head_dim + self._value_dim) * kv_bytes

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        yield _fused_qkv(self.linears[:-1], rank.tokens, shard.tp, numerics)
        yield self.linears[-1].work(rank.tokens, shard.tp, numerics)
        if self.norm_across_heads and shard.tp > 1:
            yield from self._norm_over_gpus(rank.tokens, shard.tp, numerics)
        yield from self._attention(rank, shard.tp, numerics)

    def _norm_over_gpus(self, tokens: float, tp: int, numerics: Numerics) -> Iterator[Work]:
        """Each GPU knows the squares of its own heads: two sums of fp32 a token are added over the group, and the norm
        that one kernel would do takes another pass after them.

        Source: vLLM, model_executor/layers/mamba/linear_attn.py, MiniMaxText01RMSNormTP.forward_qk, read 2026-11-25.
        """
        yield Work(
            name="norm_all_reduce",
            kind=Kind.COMMUNICATION,
            message=Message(pattern="all_reduce", message_bytes=tokens * 2 * 4, gpus=tp),
        )
        width = (self.heads + self.kv_heads) / tp * self.head_dim
        yield Work(
            name="norm_heads",
            kind=Kind.ELEMENTWISE,
            hbm_bytes=2 * tokens * width * numerics.activation_bytes,
            rows=tokens,
        )

    def _attention(self, rank: Batch, tp: int, numerics: Numerics) -> Iterator[Work]:
        heads, kv_heads = self.heads / tp, max(1.0, self.kv_heads / tp)
        flop_per_pair = 2 * heads * (self.head_dim + self._value_dim)
        token_bytes = kv_heads * (self.head_dim + self._value_dim) * numerics.kv_bytes
        query_bytes = heads * (self.head_dim + self._value_dim) * numerics.activation_bytes
        format = "fp8" if numerics.kv_bytes == 1 else "bf16"
        if rank.decode_seqs:
            span = sequence_span(rank.context_tokens / rank.decode_seqs, self.window_tokens)
            read = span * rank.decode_seqs
            yield Work(
                name="decode_attention",
                kind=Kind.DECODE_ATTENTION,
                format=format,
                flop=flop_per_pair * read,
                hbm_bytes=token_bytes * read + query_bytes * rank.decode_seqs,
                rows=rank.decode_seqs,
            )
        if rank.prefill_tokens:
            chunk = rank.prefill_tokens / rank.prefill_seqs
            pairs = causal_pairs(chunk, rank.prefill_past_tokens, self.window_tokens) * rank.prefill_seqs
            span = sequence_span(rank.prefill_past_tokens + chunk, self.window_tokens)
            yield Work(
                name="prefill_attention",
                kind=Kind.PREFILL_ATTENTION,
                format=format,
                flop=flop_per_pair * pairs,
                hbm_bytes=token_bytes * span * rank.prefill_seqs + query_bytes * rank.prefill_tokens,
                rows=span,
                depth=span,
            )


def _fused_qkv(linears: tuple[Linear, ...], rows: float, tp: int, numerics: Numerics) -> Work:
    """vLLM runs query, key and value projections as one GEMM."""
    parts = [linear.work(rows, tp, numerics) for linear in linears]
    extra_reads = rows * linears[0].inputs * numerics.activation_bytes * (len(parts) - 1) / tp
    return Work(
        name="qkv",
        kind=Kind.GEMM,
        dtype=parts[0].dtype,
        format=parts[0].format,
        flop=sum(p.flop for p in parts),
        hbm_bytes=sum(p.hbm_bytes for p in parts) - extra_reads,
        rows=rows,
        depth=linears[0].inputs,
    )
