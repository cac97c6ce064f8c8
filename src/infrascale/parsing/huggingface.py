"""A Hugging Face config.json becomes a Model.

In: the mapping that json.load gives, and a name for messages.    Out: Model, or ModelError.
Idea: find the text model,
look up what its family's code does (families.py), read one mixer and one feed-forward per
layer (layers.py, attention.py, feedforward.py, recurrent.py; special.py for the odd ones),
count equal layers together.
Multi-token-prediction layers are left out, as in published parameter counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrascale.errors import ModelError
from infrascale.model import Group, Model
from infrascale.model.blocks import Block, Dense
from infrascale.parsing import layers as kinds
from infrascale.parsing import recurrent
from infrascale.parsing.attention import HEADS, HIDDEN, attention, kv_heads, latent_attention, norms
from infrascale.parsing.families import LLAMA, Family, family_of
from infrascale.parsing.feedforward import dense, expert_count, moe
from infrascale.parsing.quantization import quantization
from infrascale.parsing.reader import Reader
from infrascale.parsing.sampling import samples_likeliest
from infrascale.parsing.special import BUILDERS, gemma_tables, unrun_params
from infrascale.parsing.vision import vision_params

_TEXT = ("text_config", "llm_config", "language_config", "language_model_config")
_OTHER_WORLDS = ("_class_name", "_diffusers_version")
#: What any decoder in Llama's manner says; a model_type nobody entered is read by these or refused.
_LLAMA_LIKE = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size")
_ENCODERS = (
    "bert", "roberta", "deberta", "electra", "albert", "distilbert", "camembert", "xlm", "mpnet", "vit",
    "clip",
    "siglip", "whisper", "wav2vec2", "hubert", "t5", "mt5", "bart", "mbart", "pegasus", "modernbert", "esm",
    "sam",
)  # fmt: skip
#: Decoders that carry Llama's keys and mean something else by them.
_NOT_LIKE_LLAMA = frozenset((
    "doge", "hrm_text", "jais2", "jetmoe", "nanochat", "persimmon",
    "recurrent_gemma",
    "fuyu", "git", "rwkv", "xlstm", "zamba", "zamba2", "phi4_multimodal", "blt", "mamba", "mamba2",
    "falcon_mamba",
    "big_bird", "biogpt", "data2vec-text", "rembert", "roc_bert", "roformer", "xmod", "megatron-bert",
    "ernie",
    "got_ocr2", "moshi", "ctrl", "cpmant", "xglm",
))  # fmt: skip


def parse_config(config: Mapping[str, Any], *, id: str) -> Model:
    """Read a config.json as transformers writes it.

    Llama-3.1-8B: 32 layers of Gqa(32 heads, 8 of keys, 128 wide) and Dense(14336): 8.03e9 parameters.
    """
    if not isinstance(config, Mapping):
        raise ModelError(
            f"the configuration of {id} cannot be read",
            why=f"it is a {type(config).__name__}, not a table",
            fix="pass the content of config.json",
        )
    outer = Reader(config, id=id)
    _refuse(outer)
    text = _text(outer)
    model_type = text.text("model_type") or outer.text("model_type")
    if model_type == "git" and "residual_moe" in text:
        model_type = "grok-2"  # its config.json borrows the name of an image captioner
    family = family_of(model_type)
    if family is None:
        family = _unknown(text, model_type)
    tied_default = family.tied
    reader = Reader(text._values, id=id, defaults=family.defaults)
    _refuse(reader)
    rows = _layers(reader, family, model_type)
    return _assemble(reader, outer, family, model_type, rows, tied_default)


def _refuse(reader: Reader) -> None:
    """Say no to what does not write text, one token at a time."""
    if any(name in reader for name in _OTHER_WORLDS):
        raise reader.fail("it describes a diffusion pipeline, not a language model", "pass a causal language model")
    architectures = reader.find("architectures")
    names = [a for a in architectures if isinstance(a, str)] if isinstance(architectures, list | tuple) else []
    if reader.find("is_encoder_decoder") is True or any("Seq2Seq" in a for a in names):
        raise reader.fail("it is an encoder-decoder model", "pass a decoder-only language model")
    kind = reader.find("model_type")
    if isinstance(kind, str) and kind.replace("-", "_").split("_")[0] in _ENCODERS:
        raise reader.fail(f"model_type {kind!r} generates no text by itself", "pass a decoder-only language model")


def _text(outer: Reader) -> Reader:
    """The text model inside a multimodal one, or the whole. What the inner leaves out, the outer may say."""
    thinker = outer.child("thinker_config")
    if thinker is not None:
        outer = thinker
    inner = outer.child(*_TEXT)
    if inner is None or not (inner.names() & {*HIDDEN, "model_type"}):
        return outer
    lent = {k: outer.find(k) for k in ("tie_word_embeddings", "torch_dtype", "dtype") if k in outer}
    return Reader(inner._values, id=outer.id, defaults=lent)


def _unknown(reader: Reader, model_type: str) -> Family:
    missing = [name for name in _LLAMA_LIKE if name not in reader]
    if model_type in _NOT_LIKE_LLAMA:
        raise reader.fail(
            f"model_type {model_type!r} has layers that are not known here",
            "choose another model; a new kind of layer is one file in model/blocks",
        )
    if missing:
        raise reader.fail(
            f"model_type {model_type!r} is not known, and without {', '.join(missing)} it is not like Llama",
            "pass a causal language model's config.json; a new kind of layer is one file in model/blocks",
        )
    return LLAMA


def _layers(reader: Reader, family: Family, model_type: str) -> list[tuple[Block, ...]]:
    if model_type in BUILDERS:
        return BUILDERS[model_type](reader, family, model_type)
    count = kinds.layer_count(reader)
    mixers, windows = kinds.mixers(reader, model_type, count), kinds.windows(reader, family, count)
    has_experts = expert_count(reader) > 0
    sparse = kinds.sparse(reader, model_type, count) if has_experts else [False] * count
    sharing = reader.items("indexer_types", str, count) or ["full"] * count
    made: dict[tuple[object, ...], tuple[Block, ...]] = {}
    found = []
    for i in range(count):
        key = (mixers[i], windows[i], sparse[i], sharing[i])
        if key not in made:
            mixer = _mixer(reader, family, mixers[i], windows[i], sharing[i] != "shared")
            made[key] = (mixer, *_feed_forward(reader, family, model_type, sparse[i]))
        found.append(made[key])
    return found


def _mixer(reader: Reader, family: Family, kind: str, window: int | None, indexer: bool) -> Block:
    """The layer's norms are counted with its mixer."""
    extra = norms(reader, family)
    if kind == kinds.MAMBA:
        if "mamba_dt_rank" in reader or reader.find("model_type") == "jamba":
            return recurrent.mamba1(reader, norm_params=extra)
        return recurrent.mamba2(reader, norm_params=extra)
    if kind == kinds.DELTA:
        return recurrent.delta_net(reader, norm_params=extra)
    if kind == kinds.KDA:
        return recurrent.kda(reader, norm_params=extra)
    if kind == kinds.LIGHTNING:
        return recurrent.lightning(reader, norm_params=extra)
    if kind == kinds.CONV:
        return recurrent.short_conv(reader, norm_params=extra)
    if "kv_lora_rank" in reader and not indexer:
        return latent_attention(reader, family, indexer=False, extra_norms=extra)
    return attention(reader, family, window, extra_norms=extra)


def _feed_forward(reader: Reader, family: Family, model_type: str, sparse: bool) -> tuple[Block, ...]:
    if sparse:
        return (moe(reader, family, model_type),)
    if model_type.startswith("llama4"):
        return (dense(reader, family, intermediate=reader.size("intermediate_size_mlp", "intermediate_size")),)
    if model_type.startswith("granitemoehybrid"):  # its only feed-forward where there are no experts
        wide = reader.size("shared_intermediate_size", "intermediate_size")
        return (Dense(hidden=reader.size(*HIDDEN), intermediate=wide),)
    if model_type.startswith("minimax_m3"):
        return (dense(reader, family, intermediate=reader.size("dense_intermediate_size", "intermediate_size")),)
    if model_type == "qwen":  # Qwen 1 counts both halves of its gated matrix
        return (dense(reader, family, intermediate=reader.size("intermediate_size") // 2),)
    if model_type in ("lfm2", "lfm2_moe"):
        return (dense(reader, family, intermediate=_lfm2_width(reader)),)
    return (dense(reader, family),)


def _lfm2_width(reader: Reader) -> int:
    """LFM2 shrinks the width it is given by two thirds and rounds up."""
    wide = reader.size("block_ff_dim", "intermediate_size")
    if not reader.flag("block_auto_adjust_ff_dim", default=False):
        return wide
    step = reader.size("block_multiple_of", default=256)
    scaled = int(reader.real("block_ffn_dim_multiplier", default=1.0) * int(2 * wide / 3))
    return max(step, -(-scaled // step) * step)


def _assemble(
    reader: Reader, outer: Reader, family: Family, model_type: str, rows: list[tuple[Block, ...]], tied: bool
) -> Model:
    hidden = reader.size(*HIDDEN)
    vocab = reader.size("vocab_size", "padded_vocab_size")
    longest = reader.size(
        "max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "model_max_length",
        "max_seq_len",
        "n_ctx", default=family.max_model_len,
    )  # fmt: skip
    counts: dict[tuple[Block, ...], int] = {}
    for row in rows:
        counts[row] = counts.get(row, 0) + 1
    extra = 0
    if family.positions is not None:
        extra += (longest + family.positions) * hidden
    if model_type.startswith(("gemma3n", "gemma4")):
        extra += gemma_tables(reader, model_type)
    latent = "kv_lora_rank" in reader
    return Model(
        id=reader.id,
        hidden=hidden,
        vocab=vocab,
        groups=tuple(Group(count=count, blocks=row) for row, count in counts.items()),
        max_model_len=longest,
        heads=reader.size(*HEADS),
        kv_heads=1 if latent else kv_heads(reader),
        tied_embeddings=reader.flag("tie_word_embeddings", default=tied),
        resident_params=vision_params(outer, hidden) + unrun_params(reader, rows[0]),
        extra_embedding_params=extra,
        native=quantization(reader, outer, len(rows)),
        head_bias=family.head_bias,
        samples_likeliest=samples_likeliest(reader.id),
    )
