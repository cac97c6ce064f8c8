"""Compressed attention (DeepSeek V4): a window of the last tokens, and one entry for every `ratio` tokens before it.

All heads share one entry of `head_dim` numbers, key and value at once. With `index_heads` a small indexer picks
`index_topk` of the compressed entries; without, all are read. `ratio` 0 keeps the window only. Queries and outputs
go through narrow matrices, the outputs' first one by groups of heads. The residual stream is `streams` wide.
Source: modeling_deepseek_v4.py of transformers 5.24; "DeepSeek-V4", section 2.3. Leaves out: prefix reuse, which
needs whole compressed blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from infrascale.model.blocks.block import Block, causal_pairs, sequence_span
from infrascale.work import Batch, Kind, Linear, Numerics, Part, Shard, Work


@dataclass(frozen=True, kw_only=True)
class Compressed(Block):
    hidden: int
    heads: int
    head_dim: int
    q_lora_rank: int
    o_lora_rank: int
    o_groups: int
    window: int  # a state of fixed size: no window over a growing cache
    ratio: int = 0
    index_heads: int = 0
    index_dim: int = 0
    index_topk: int = 0
    streams: int = 1
    norm_params: int = 0

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        wide, part = self.heads * self.head_dim, Part.ATTENTION
        shapes = [
            ("qkv_a", self.hidden, self.q_lora_rank + self.head_dim, False),
            ("q_b", self.q_lora_rank, wide, True),
            ("o_a", wide // self.o_groups, self.o_groups * self.o_lora_rank, True),
        ]
        if self.ratio:  # what is kept and how it is weighed; twice as wide where an indexer picks overlapping entries
            overlap = 2 if self.index_heads else 1
            shapes.append(("compress", self.hidden, 2 * overlap * self.head_dim, False))
        if self.index_heads:
            shapes.append(("index_k", self.hidden, 4 * self.index_dim + self.index_heads, False))
            shapes.append(("index_q", self.q_lora_rank, self.index_heads * self.index_dim, False))
        found = [Linear(name=n, inputs=i, outputs=o, part=part, cut=cut) for n, i, o, cut in shapes]
        down = self.o_groups * self.o_lora_rank
        return (*found, Linear(name="o_b", inputs=down, outputs=self.hidden, part=part, inner=True))

    def cache_bytes_per_token(self, tp: int, kv_bytes: float) -> float:
        """An entry of head_dim numbers, and an 8-bit one of the indexer, every `ratio` tokens; each GPU holds a copy.

        DeepSeek-V4-Flash in bf16, a layer of ratio 4: (512 · 2 + 128) / 4 = 288 bytes.
        """
        return (self.head_dim * kv_bytes + self.index_dim) / self.ratio if self.ratio else 0.0

    def state_bytes_per_seq(self, tp: int) -> float:
        return 2.0 * self.window * self.head_dim

    def _kept(self, context: float) -> float:
        """Entries that one query reads after `context` tokens."""
        near = sequence_span(context, self.window)
        return near + (sequence_span(context / self.ratio, self.index_topk or None) if self.ratio else 0.0)

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        for linear in self.linears:
            yield linear.work(rank.tokens, shard.tp, numerics)
        heads, entry_bytes = self.heads / shard.tp, self.head_dim * numerics.kv_bytes
        flop_per_pair = 4 * heads * self.head_dim
        if self.streams > 1:  # each branch of the layer reads and writes the wide stream
            moved = 4 * self.streams * self.hidden * rank.tokens * numerics.activation_bytes
            yield Work(name="streams", kind=Kind.ELEMENTWISE, hbm_bytes=moved, rows=rank.tokens)
        if rank.decode_seqs:
            context = rank.context_tokens / rank.decode_seqs
            read = self._kept(context) * rank.decode_seqs
            yield Work(
                name="decode_attention", kind=Kind.DECODE_ATTENTION, format="mla",
                flop=flop_per_pair * read, hbm_bytes=entry_bytes * read, rows=rank.decode_seqs,
            )  # fmt: skip
            if self.index_heads:
                entries = rank.context_tokens / self.ratio
                yield Work(
                    name="index", kind=Kind.DECODE_ATTENTION, dtype="fp8",
                    flop=2 * self.index_heads * self.index_dim * entries,
                    hbm_bytes=self.index_dim * entries, rows=rank.decode_seqs,
                )  # fmt: skip
        if rank.prefill_tokens:
            yield self._prefill(rank, flop_per_pair, entry_bytes, heads, numerics)

    def _prefill(self, rank: Batch, flop_per_pair: float, entry_bytes: float, heads: float, numerics: Numerics) -> Work:
        chunk, past = rank.prefill_tokens / rank.prefill_seqs, rank.prefill_past_tokens
        pairs, index_flop = causal_pairs(chunk, past, self.window), 0.0
        if self.ratio:
            most = self.index_topk * self.ratio if self.index_topk else None
            pairs += causal_pairs(chunk, past, most) / self.ratio
            index_flop = 2 * self.index_heads * self.index_dim * causal_pairs(chunk, past, None) / self.ratio
        span = self._kept(past + chunk)
        moved = 2 * heads * self.head_dim * numerics.activation_bytes * rank.prefill_tokens
        return Work(
            name="prefill_attention", kind=Kind.PREFILL_ATTENTION,
            flop=(flop_per_pair * pairs + index_flop) * rank.prefill_seqs,
            hbm_bytes=entry_bytes * span * rank.prefill_seqs + moved, rows=past + chunk, depth=span,
        )  # fmt: skip
