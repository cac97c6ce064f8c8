"""Attention blocks from config keys: grouped-query, or multi-head latent where kv_lora_rank is given."""

from __future__ import annotations

from infrascale.model.blocks import Gqa, Mla
from infrascale.parsing.families import Family
from infrascale.parsing.reader import Reader

HIDDEN = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num", "num_query_groups")


def head_dim(reader: Reader) -> int:
    given = reader.size("head_dim", "attention_head_dim", "kv_channels", "d_kv", default=0, least=0)
    if given:
        return given
    hidden, heads = reader.size(*HIDDEN), reader.size(*HEADS)
    if hidden < heads:
        raise reader.fail(f"{heads} heads do not fit into hidden_size {hidden}")
    return hidden // heads


def kv_heads(reader: Reader) -> int:
    """Key-value heads; some older families say `multi_query` instead of a number."""
    heads = reader.size(*HEADS)
    if "multi_query" in reader or "new_decoder_architecture" in reader:
        if not reader.flag("new_decoder_architecture") and reader.flag("multi_query", default=True):
            return 1
        return reader.size(*KV_HEADS, default=heads)
    found = reader.size(*KV_HEADS, default=heads)
    if found > heads:
        raise reader.fail(f"{found} key-value heads are more than its {heads} heads")
    return found


def norms(reader: Reader, family: Family) -> int:
    """Parameters of all norms of a layer but those inside its mixer."""
    vectors = family.norms + (1 if reader.flag("new_decoder_architecture") else 0)  # Falcon 40B on: one for each branch
    return vectors * reader.size(*HIDDEN) * (2 if family.norm_bias else 1)


def _norms_queries(family: Family, reader: Reader) -> str:
    """How queries and keys are normed: "" not, "head" each head alone, "full" as wide as all heads."""
    if not reader.flag("use_qk_norm", "qk_layernorm", default=bool(family.qk_norm)):
        return ""
    return "full" if family.qk_norm == "full" or reader.find("qk_norm_type") == "per_layer" else "head"


def attention(reader: Reader, family: Family, window: int | None, *, extra_norms: int = 0) -> Gqa | Mla:
    """The attention block of a layer with this window."""
    if "kv_lora_rank" in reader:
        return latent_attention(reader, family, extra_norms=extra_norms)
    return grouped_attention(reader, family, window, extra_norms=extra_norms)


def grouped_attention(reader: Reader, family: Family, window: int | None, *, extra_norms: int = 0) -> Gqa:
    heads, kv, dim = reader.size(*HEADS), kv_heads(reader), head_dim(reader)
    value = reader.size("v_head_dim", default=0, least=0) or None
    bias = reader.flag(
        "attention_bias", "qkv_bias", "add_qkv_bias", "use_qkv_bias", "use_bias", "bias", "no_bias_inverted",
        default=family.qkv_bias,
    )  # fmt: skip
    asked = reader.flag("attention_out_bias", "o_bias", default=bias)
    output_bias = asked if family.output_bias is None or "attention_out_bias" in reader else family.output_bias
    sinks = heads if family.sinks else 0
    gated = reader.flag("attn_output_gate", default=family.attention_gate)
    normed = _norms_queries(family, reader)
    return Gqa(
        hidden=reader.size(*HIDDEN), heads=heads, kv_heads=kv, head_dim=dim, value_dim=value,
        window_tokens=window,
        bias=bias, output_bias=output_bias, gated=gated,
        norm_params=extra_norms + sinks + {"": 0, "head": 2, "full": heads + kv}[normed] * dim,
        norm_across_heads=normed == "full",
    )  # fmt: skip


def latent_attention(reader: Reader, family: Family, *, indexer: bool = True, extra_norms: int = 0) -> Mla:
    """`indexer` False: a layer that reads what an earlier layer's indexer picked (GLM-5.2)."""
    hidden = reader.size(*HIDDEN)
    q_rank = reader.size("q_lora_rank", default=0, least=0)
    kv_rank = reader.size("kv_lora_rank")
    own = indexer and "index_topk" in reader
    index_dim = reader.size("index_head_dim", default=128) if own else 0
    return Mla(
        hidden=hidden,
        heads=reader.size(*HEADS),
        q_lora_rank=q_rank,
        kv_lora_rank=kv_rank,
        nope_dim=reader.size("qk_nope_head_dim", default=128),
        rope_dim=reader.size("qk_rope_head_dim", default=64, least=0),
        value_dim=reader.size("v_head_dim", default=128),
        index_heads=reader.size("index_n_heads", default=32) if own else 0,
        index_dim=index_dim,
        index_topk=reader.size("index_topk", default=0, least=0),
        norm_params=extra_norms + q_rank + kv_rank + 2 * index_dim,
    )
