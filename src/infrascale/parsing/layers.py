"""Which layer is what: mixer, window, dense or sparse, read from the many ways configs spell a pattern.

In: Reader, Family.    Out: one word, window or flag per layer.
"""

from __future__ import annotations

from infrascale.parsing.families import Family
from infrascale.parsing.reader import MOST_LAYERS, Reader

ATTENTION, MAMBA, DELTA, KDA, LIGHTNING, CONV = "attention", "mamba", "delta", "kda", "lightning", "conv"
_MIXERS = {
    "linear_attention": DELTA, "mamba": MAMBA, "mamba2": MAMBA, "conv": CONV, "hybrid": MAMBA,
    "recurrent": "recurrent",
}  # fmt: skip
#: "linear_attention" where it is no gated delta net: transformers 5 calls all recurrent layers so.
_LINEAR = {
    "granitemoehybrid": MAMBA, "bamba": MAMBA, "jamba": MAMBA, "kimi_linear": KDA, "minimax": LIGHTNING,
    "minimax_m1": LIGHTNING, "minimax_text_01": LIGHTNING,
}  # fmt: skip
_LIGHTNING_TYPES = ("minimax", "minimax_m1", "minimax_text_01")


def layer_count(reader: Reader) -> int:
    types = reader.items("layers_block_type", str)
    return reader.size(
        "num_hidden_layers", "n_layer", "n_layers", "num_layers", most=MOST_LAYERS,
        **({"default": len(types)} if types else {}),
    )  # fmt: skip


def mixers(reader: Reader, model_type: str, layers: int) -> list[str]:
    """What mixes tokens in each layer."""
    if (types := reader.items("attn_type_list", int, layers)) and model_type in _LIGHTNING_TYPES:
        return [ATTENTION if kind else LIGHTNING for kind in types]
    linear = _LINEAR.get(model_type, DELTA)
    if (names := reader.items("layer_types", str, layers)) is not None:
        found = [linear if name == "linear_attention" else _MIXERS.get(name, ATTENTION) for name in names]
        if "recurrent" in found:
            raise reader.fail("its recurrent layers are of a kind that is not known here")
        return found
    if (nested := reader.child("linear_attn_config")) is not None:
        listed = set(nested.items("kda_layers", int) or ())  # counted from 1
        return [KDA if i + 1 in listed else ATTENTION for i in range(layers)]
    if (names := reader.items("layers_block_type", str, layers)) is not None:
        return [_MIXERS.get(name, ATTENTION) for name in names]
    if "full_attention_interval" in reader:
        interval = reader.size("full_attention_interval")
        return [ATTENTION if (i + 1) % interval == 0 else DELTA for i in range(layers)]
    if "attn_layer_period" in reader:
        period, offset = (
            reader.size("attn_layer_period"),
            reader.size("attn_layer_offset", default=0, least=0),
        )
        return [ATTENTION if i % period == offset else MAMBA for i in range(layers)]
    if (indices := reader.items("attn_layer_indices", int)) is not None or model_type == "bamba":
        indices = indices or []
        return [ATTENTION if i in indices else MAMBA for i in range(layers)]
    if (indices := reader.items("full_attn_idxs", int)) is not None:
        return [ATTENTION if i in indices else CONV for i in range(layers)]
    return [ATTENTION] * layers


def windows(reader: Reader, family: Family, layers: int) -> list[int | None]:
    """The most tokens each layer reads back, None where it reads all."""
    chunk = reader.size("attention_chunk_size", default=0, least=0) or None
    window = reader.size("sliding_window", "sliding_window_size", default=0, least=0) or None
    if (names := reader.items("layer_types", str, layers)) is not None:
        if window is None and "sliding_attention" in names:
            raise reader.fail("layer_types has sliding_attention, but there is no sliding_window")
        sizes = {"sliding_attention": window, "chunked_attention": chunk}
        return [sizes.get(name) for name in names]
    if (pattern := reader.items("hybrid_layer_pattern", int, layers)) is not None:
        return [window if sliding else None for sliding in pattern]
    if family.window == "llama4":
        turns = reader.items("no_rope_layers", int) or []
        if len(turns) < layers:
            turns = [int((i + 1) % 4 != 0) for i in range(layers)]
        return [chunk if rope else None for rope in turns[:layers]]
    if window is None or family.window == "none" or not reader.flag("use_sliding_window", default=True):
        return [None] * layers
    if family.window == "late":
        if not reader.flag("use_sliding_window"):
            return [None] * layers
        first = reader.size("max_window_layers", default=layers, least=0)
        return [window if i >= first else None for i in range(layers)]
    if family.window == "even":
        return [window if i % 2 == 0 else None for i in range(layers)]
    if family.window == "every":
        every = reader.find("sliding_window_pattern", "_sliding_window_pattern")
        if isinstance(every, str) and every:  # "LLLG": local, local, local, global
            return [window if every[i % len(every)] == "L" else None for i in range(layers)]
        step = reader.size("sliding_window_pattern", "_sliding_window_pattern", "global_attn_every_n_layers",
                           default=family.every)  # fmt: skip
        return [window if (i + 1) % step else None for i in range(layers)]
    return [window] * layers


def sparse(reader: Reader, model_type: str, layers: int) -> list[bool]:
    """Which layers hold routed experts."""
    if (kinds := reader.items("mlp_layer_types", str, layers)) is not None:
        return [kind == "sparse" for kind in kinds]
    if isinstance(reader.find("moe_layer_freq"), list | tuple):
        return [bool(flag) for flag in reader.items("moe_layer_freq", int, layers) or ()]
    if isinstance(reader.find("moe_layers"), list | tuple):
        listed = set(reader.items("moe_layers", int) or ())
        return [i in listed for i in range(layers)]
    if "interleave_moe_layer_step" in reader:
        step = reader.size("interleave_moe_layer_step")
        return [(i + 1) % step == 0 for i in range(layers)]
    if "expert_layer_period" in reader or model_type == "jamba":
        period = reader.size("expert_layer_period", default=2)
        offset = reader.size("expert_layer_offset", default=1, least=0)
        return [i % period == offset for i in range(layers)]
    if "moe_layer_start_index" in reader or "moe_layer_interval" in reader:
        first = reader.size("moe_layer_start_index", default=0, least=0)
        last = reader.size("moe_layer_end_index", default=layers - 1, least=-1)
        last = layers - 1 if last < 0 else last
        step = reader.size("moe_layer_interval", default=1)
        return [first <= i <= last and (i + 1) % step == 0 for i in range(layers)]
    dense_first = reader.size("first_k_dense_replace", "num_dense_layers", "moe_layer_first", default=0, least=0)
    step = reader.size("moe_layer_freq", "decoder_sparse_step", default=1)
    dense_only = set(reader.items("mlp_only_layers", int) or ())
    offset = 1 if "decoder_sparse_step" in reader else 0
    return [i >= dense_first and (i + offset) % step == 0 and i not in dense_only for i in range(layers)]
