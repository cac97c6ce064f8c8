"""Families whose layers are not one mixer and one feed-forward.

Nemotron-H, Nemotron NAS, Falcon-H1, Gemma 3n and 4, LongCat, MiMo-V2, DeepSeek V4, DBRX, Grok 2, Arctic.

Each builder returns one tuple of blocks per layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from infrascale.model.blocks import Block, Compressed, Dense, Gqa, Moe
from infrascale.parsing.attention import (
    HEADS,
    HIDDEN,
    grouped_attention,
    head_dim,
    kv_heads,
    latent_attention,
    norms,
)
from infrascale.parsing.families import Family
from infrascale.parsing.feedforward import dense, moe
from infrascale.parsing.layers import layer_count, sparse, windows
from infrascale.parsing.reader import MOST_LAYERS, Reader
from infrascale.parsing.recurrent import mamba2

Layers = list[tuple[Block, ...]]


def nemotron_h(reader: Reader, family: Family, model_type: str) -> Layers:
    """One block a layer, spelt in a pattern: M Mamba, * attention, - dense, E experts."""
    hidden = reader.size(*HIDDEN)
    letters = {
        "mamba": "M",
        "linear_attention": "M",
        "attention": "*",
        "full_attention": "*",
        "mlp": "-",
        "moe": "E",
    }
    names = reader.items("layers_block_type", str)
    pattern = reader.text("hybrid_override_pattern") or "".join(letters.get(name, "?") for name in names or ())
    if not pattern or len(pattern) > MOST_LAYERS:
        raise reader.fail("hybrid_override_pattern is missing or absurdly long")
    build: dict[str, Callable[[], Block]] = {
        "M": lambda: mamba2(reader, norm_params=hidden),
        "*": lambda: grouped_attention(reader, family, None, extra_norms=hidden),
        "-": lambda: replace(dense(reader, family), norm_params=hidden),
        "E": lambda: replace(moe(reader, family, model_type), norm_params=hidden, router_params=0),
    }
    unknown = set(pattern) - set(build)
    if unknown:
        raise reader.fail(f"its layer pattern has {sorted(unknown)}; known are M, *, - and E")
    made = {letter: build[letter]() for letter in set(pattern)}
    return [(made[letter],) for letter in pattern]


def nemotron_nas(reader: Reader, family: Family, model_type: str) -> Layers:
    """Searched layers (Nemotron Super and Ultra): attention kept or dropped, feed-forwards of any width."""
    hidden, heads = reader.size(*HIDDEN), reader.size(*HEADS)
    entries = reader.items("block_configs", dict)
    if not entries or len(entries) > MOST_LAYERS:
        raise reader.fail("block_configs is missing or absurdly long")
    found: Layers = []
    for entry in entries:
        block = Reader(entry, id=reader.id)
        mixer, ffn = block.child("attention"), block.child("ffn")
        if mixer is None or ffn is None:
            raise reader.fail("a block_configs entry has no attention or no ffn")
        blocks: list[Block] = []
        if mixer.flag("replace_with_linear") or ffn.flag("replace_with_linear"):
            raise reader.fail("block_configs replaces a layer by one matrix, which is not supported")
        if not mixer.flag("no_op"):
            group = mixer.size("n_heads_in_group", most=heads)
            base = grouped_attention(reader, family, None, extra_norms=hidden)
            blocks.append(replace(base, kv_heads=max(1, heads // group)))
        if not ffn.flag("no_op"):
            wide = ffn.size("intermediate_size", default=0, least=0)
            if not wide:  # as the code of the checkpoint rounds: two thirds of the multiple, up to the next 256
                wide = -(-int(2 * ffn.real("ffn_mult", default=1.0) * hidden / 3) // 256) * 256
            blocks.append(Dense(hidden=hidden, intermediate=wide, norm_params=hidden))
        found.append(tuple(blocks))
    return found


def falcon_h1(reader: Reader, family: Family, model_type: str) -> Layers:
    """Attention and Mamba-2 side by side in every layer."""
    mamba = mamba2(reader)
    if "mamba_rms_norm" not in reader:  # Falcon-H1 leaves the inner norm out unless asked
        mamba = replace(mamba, other_params=mamba.other_params - mamba.projections[-1].inputs)
    layer = (
        grouped_attention(reader, family, None, extra_norms=norms(reader, family)),
        mamba,
        dense(reader, family),
    )
    return [layer] * layer_count(reader)


def gemma(reader: Reader, family: Family, model_type: str) -> Layers:
    """Gemma 3n and 4: per-layer embeddings, shared caches, other heads in global layers, experts and MLP."""
    hidden, layers = reader.size(*HIDDEN), layer_count(reader)
    window = windows(reader, family, layers)
    shared_from = layers - reader.size("num_kv_shared_layers", default=0, least=0)
    per_layer = reader.size("hidden_size_per_layer_input", default=0, least=0)
    wide = _widths(reader, layers)
    gemma4 = model_type.startswith("gemma4")
    found: Layers = []
    for i in range(layers):
        mixer = grouped_attention(reader, family, window[i], extra_norms=norms(reader, family))
        if gemma4 and window[i] is None:
            mixer = _global(reader, mixer)
        if i >= shared_from:
            mixer = replace(mixer, shared_kv=True)
        doubled = gemma4 and i >= shared_from and reader.flag("use_double_wide_mlp")
        ffn = dense(reader, family, intermediate=wide[i] * (2 if doubled else 1))
        blocks: list[Block] = [mixer, ffn]
        if per_layer:
            # input gate, slice of the model's projection, projection back: shaped as a gated feed-forward
            blocks.append(Dense(hidden=hidden, intermediate=per_layer, norm_params=hidden))
        if not gemma4:
            rank = reader.size("laurel_rank", default=64)
            altup = reader.size("altup_num_inputs", default=4)
            small = 3 * hidden + altup**3 + altup**2 + altup * hidden
            blocks.append(Dense(hidden=hidden, intermediate=rank, gated=False, norm_params=small))
        if reader.flag("enable_moe_block"):
            extra = 3 * hidden + hidden + reader.size("num_experts")  # three norms, the router's scales
            blocks.append(replace(moe(reader, family, model_type), norm_params=extra))
        found.append(tuple(blocks))
    return found


def _global(reader: Reader, mixer: Gqa) -> Gqa:
    """Layers of Gemma 4 without a window: wider heads, fewer of them for keys, values that are the keys."""
    dim = reader.size("global_head_dim", default=head_dim(reader))
    same = reader.flag("attention_k_eq_v")
    few = reader.size("num_global_key_value_heads", default=kv_heads(reader))
    wider = 2 * (dim - mixer.head_dim)  # the norms of queries and keys grow with the heads
    return replace(
        mixer,
        head_dim=dim,
        kv_heads=few if same else mixer.kv_heads,
        value_from_key=same,
        norm_params=mixer.norm_params + wider,
    )


def _widths(reader: Reader, layers: int) -> list[int]:
    if isinstance(reader.find("intermediate_size"), list | tuple):
        found = reader.items("intermediate_size", int, layers) or []
        if any(not 0 < wide <= 10**6 for wide in found):
            raise reader.fail("intermediate_size holds a width that is not positive")
        return found
    return [reader.size("intermediate_size")] * layers


def gemma_tables(reader: Reader, model_type: str) -> int:
    """Per-layer embeddings, looked up, never multiplied; and AltUp's projections (0.4 % of Gemma 3n)."""
    per_layer = reader.size("hidden_size_per_layer_input", default=0, least=0)
    rows = reader.size("vocab_size_per_layer_input", default=262144)
    tables = rows * per_layer * layer_count(reader) + per_layer
    if model_type.startswith("gemma3n"):
        tables += 2 * (reader.size("altup_num_inputs", default=4) - 1) * reader.size(*HIDDEN) ** 2
    return tables


def longcat(reader: Reader, family: Family, model_type: str) -> Layers:
    """Two attentions and two dense feed-forwards a layer, experts across them, some of them the identity."""
    hidden = reader.size(*HIDDEN)
    wide = reader.size("ffn_hidden_size", "intermediate_size")
    mixer = latent_attention(reader, family, extra_norms=2 * hidden)
    ffn = Dense(hidden=hidden, intermediate=wide)
    idle = reader.size("zero_expert_num", default=0, least=0)
    experts = Moe(
        hidden=hidden, experts=reader.size("n_routed_experts"),
        intermediate=reader.size("expert_ffn_hidden_size"),
        experts_per_token=reader.size("moe_topk", "num_experts_per_tok"), router_params=idle * hidden,
    )  # fmt: skip
    return [(mixer, ffn, mixer, ffn, experts)] * layer_count(reader)


def deepseek_v4(reader: Reader, family: Family, model_type: str) -> Layers:
    """DeepSeek V4: each layer keeps a window, and every 4th or 128th entry of what lies before it."""
    hidden, layers, heads = reader.size(*HIDDEN), layer_count(reader), reader.size(*HEADS)
    ratios = reader.items("compress_ratios", int, layers) or []
    if any(not 0 <= ratio <= 4096 for ratio in ratios) or len(ratios) < layers:
        raise reader.fail("compress_ratios needs one ratio a layer, from 0 to 4096")
    streams, q_rank, dim = reader.size("hc_mult", default=1), reader.size("q_lora_rank"), reader.size("head_dim")
    mixing = 2 * ((streams * streams + 2 * streams) * (streams * hidden + 1) + 3) if streams > 1 else 0
    made: dict[int, Compressed] = {}
    for ratio in set(ratios):
        picks = ratio == min((r for r in ratios if r), default=0)  # the finer of the two has an indexer
        index_dim = reader.size("index_head_dim", default=128) if picks else 0
        inner = q_rank + dim + heads + (dim + ratio * dim * (2 if picks else 1) if ratio else 0)
        made[ratio] = Compressed(
            hidden=hidden, heads=heads, head_dim=dim, q_lora_rank=q_rank,
            o_lora_rank=reader.size("o_lora_rank"), o_groups=reader.size("o_groups"),
            window=reader.size("sliding_window"), ratio=ratio, streams=streams, index_dim=index_dim,
            index_heads=reader.size("index_n_heads") if picks else 0,
            index_topk=reader.size("index_topk") if picks else 0,
            norm_params=2 * hidden + mixing + inner + (index_dim + 2 * ratio * index_dim if picks else 0),
        )  # fmt: skip
    feed = moe(reader, family, model_type)
    return [(made[ratio], feed) for ratio in ratios]


def dbrx(reader: Reader, family: Family, model_type: str) -> Layers:
    """DBRX says what its attention and its experts are in tables of their own."""
    attention, ffn = reader.child("attn_config"), reader.child("ffn_config")
    if attention is None or ffn is None:
        raise reader.fail("attn_config or ffn_config is missing")
    hidden = reader.size(*HIDDEN)
    mixer = replace(
        grouped_attention(reader, family, None, extra_norms=norms(reader, family)),
        kv_heads=attention.size("kv_n_heads", most=reader.size(*HEADS)),
    )
    experts = Moe(
        hidden=hidden, experts=ffn.size("moe_num_experts"), experts_per_token=ffn.size("moe_top_k"),
        intermediate=ffn.size("ffn_hidden_size"),
    )  # fmt: skip
    return [(mixer, experts)] * layer_count(reader)


def mllama(reader: Reader, family: Family, model_type: str) -> Layers:
    """Llama 3.2 Vision asked for text: layers that look at an image are skipped (`unrun_params` holds them)."""
    layer = (grouped_attention(reader, family, None, extra_norms=norms(reader, family)), dense(reader, family))
    return [layer] * (layer_count(reader) - len(_looking(reader)))


def _looking(reader: Reader) -> list[int]:
    found = reader.items("cross_attention_layers", int) or []
    if len(found) >= layer_count(reader):
        raise reader.fail("cross_attention_layers leaves no layer of its own")
    return found


def unrun_params(reader: Reader, layer: tuple[Block, ...]) -> int:
    """Parameters of layers that a text alone does not pass: each as large as another layer."""
    return len(_looking(reader)) * sum(block.params for block in layer) if "cross_attention_layers" in reader else 0


def beside_experts(reader: Reader, family: Family, model_type: str) -> Layers:
    """Grok 2 and Arctic: a dense feed-forward beside the experts; Arctic's is as wide as the model."""
    hidden = reader.size(*HIDDEN)
    mixer = grouped_attention(reader, family, None, extra_norms=norms(reader, family))
    arctic = model_type == "arctic"
    dense_one = Dense(hidden=hidden, intermediate=hidden if arctic else reader.size("intermediate_size"))
    return [(mixer, dense_one, moe(reader, family, model_type))] * layer_count(reader)


def mimo_flash(reader: Reader, family: Family, model_type: str) -> Layers:
    """MiMo-V2-Flash: sliding layers have their own number of key-value heads, and sinks."""
    layers, hidden = layer_count(reader), reader.size(*HIDDEN)
    window = windows(reader, family, layers)
    flags = sparse(reader, model_type, layers)
    full = grouped_attention(reader, family, None, extra_norms=2 * hidden)
    found: Layers = []
    for i in range(layers):
        mixer: Gqa = full
        if window[i] is not None:
            kv = reader.size("swa_num_key_value_heads", default=full.kv_heads)
            sinks = full.heads if reader.flag("add_swa_attention_sink_bias") else 0
            mixer = replace(full, kv_heads=kv, window_tokens=window[i], norm_params=full.norm_params + sinks)
        ffn: Block = moe(reader, family, model_type) if flags[i] else dense(reader, family)
        found.append((mixer, ffn))
    return found


BUILDERS: dict[str, Callable[[Reader, Family, str], Layers]] = {
    "nemotron_h": nemotron_h,
    "nemotron-nas": nemotron_nas,
    "falcon_h1": falcon_h1,
    "gemma3n": gemma,
    "gemma3n_text": gemma,
    "gemma4": gemma,
    "gemma4_text": gemma,
    "gemma4_unified": gemma,
    "gemma4_unified_text": gemma,
    "longcat_flash": longcat,
    "deepseek_v4": deepseek_v4,
    "deepseek_ref": deepseek_v4,
    "dbrx": dbrx,
    "mllama_text_model": mllama,
    "grok-2": beside_experts,
    "arctic": beside_experts,
    "mimo_v2_flash": mimo_flash,
}
