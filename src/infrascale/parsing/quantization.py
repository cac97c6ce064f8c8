"""Which parts of a checkpoint are stored in which format, from quantization_config.

In: Reader of the config, number of layers.    Out: Quantization.
Idea: lists of modules left alone are tried on representative module names of each Part in every layer; a part
counts as quantised when most of its modules are. What is doubtful stays in 16 bits: more memory, never less.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from infrascale.model.model import LAYER_PARTS, Model, Quantization
from infrascale.parsing.reader import Reader
from infrascale.precision import canonical
from infrascale.work import Part

_SIXTEEN_BIT = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}

#: Names that modules of a part go by, below `model.layers.N`.
_MODULES = {
    Part.ATTENTION: (
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "attn.wq_b",
        "self_attn.q_b_proj", "self_attn.kv_b_proj", "linear_attn.in_proj_qkvz", "linear_attn.out_proj",
    ),
    Part.DENSE: ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "feed_forward.down_proj"),
    Part.EXPERTS: (
        "mlp.experts.0.gate_proj", "mlp.experts.0.down_proj", "mlp.experts", "ffn.experts.0.w1",
        "block_sparse_moe.experts.0.w1", "feed_forward.experts.0.down_proj", "mixer.experts.0.up_proj",
    ),
    Part.SHARED: (
        "mlp.shared_experts.gate_proj", "mlp.shared_experts.down_proj", "mlp.shared_expert.gate_proj",
        "ffn.shared_experts.w1", "feed_forward.shared_expert.down_proj",
    ),
}  # fmt: skip

_ALGORITHMS = {
    "FP8": "fp8", "FP8_PER_CHANNEL_PER_TOKEN": "fp8", "FP8_PB_WO": "fp8", "FP8_BLOCK": "fp8", "MXFP8": "fp8",
    "NVFP4": "nvfp4", "W4A16_NVFP4": "nvfp4", "NVFP4_AWQ": "nvfp4", "MXFP4": "mxfp4", "W4A16_AWQ": "int4",
    "W4A8_AWQ": "int4", "INT4_AWQ": "int4", "W8A8_SQ_PER_CHANNEL": "int8", "INT8_SQ": "int8", "W8A16": "int8",
}  # fmt: skip

_NAMED = (  # by the end of a repository's name, where no quantization_config says so; first match wins
    (r"mxfp4", "mxfp4"), (r"nvfp4|fp4", "nvfp4"), (r"fp8", "fp8"), (r"w8a8|w8a16|int8|8bit|i?q[5-8]", "int8"),
    (r"w4a16|awq|gptq|int4|4bit|i?q[2-4]", "int4"), (r"bf16|bfloat16", "bf16"),
)  # fmt: skip

_WRITTEN = (  # anywhere in a stated format; first match wins
    (r"mxfp4|mx_?fp4", "mxfp4"), (r"fp4|f4e2m1", "nvfp4"), (r"fp8|f8e4m3|e4m3", "fp8"),
    (r"w8a8|int8|8[-_ ]?bit|i8", "int8"), (r"w4a|awq|gptq|int4|4[-_ ]?bit|nf4|bnb|q4", "int4"),
    (r"bf16|bfloat", "bf16"), (r"fp16|f16|half", "fp16"),
)  # fmt: skip


def precision_in_name(id: str) -> str | None:
    """The format a repository's name ends in: `nvidia/Llama-3.1-8B-Instruct-FP8` -> fp8; else None."""
    words = re.split(r"[-_. :]", id.rsplit("/", 1)[-1].lower())
    for pattern, precision in _NAMED:
        if any(re.fullmatch(pattern, word) for word in words[1:]):
            return precision
    return None


def stated_precision(text: str) -> str | None:
    """A format as rows and people write it: `fp4`, `W4A16 (AWQ)`, `w4a8_mxfp4_mxfp8`; None when nobody knows it."""
    found = canonical(text)
    if found is None and text.strip():
        found = next((name for pattern, name in _WRITTEN if re.search(pattern, text.lower())), None)
    return found


_IN_BLOCKS = re.compile(r"qwen/qwen3(?!.*pertensor)")


def stored_as(found: Model, precision: str) -> Quantization:
    """How repositories publish this model in that format.

    Block-scaled 4-bit mixtures of experts leave attention in 16 bits (NVIDIA's MiniMax, Kimi, GLM and DeepSeek
    checkpoints); AWQ and GPTQ take all linear layers. `fp4` says no more than four bits: a model that is already
    published so stays as it is. Qwen's own 8-bit checkpoints since Qwen3 are scaled in blocks of 128×128.
    """
    native = found.native.precision
    if precision == native or (precision == "nvfp4" and native == "mxfp4"):
        return found.native
    if precision in ("nvfp4", "mxfp4", "int4") and found.is_moe:
        if native in ("nvfp4", "mxfp4", "int4"):
            return Quantization(precision=precision, parts=found.native.parts)
        if precision != "int4":
            return Quantization(precision=precision, parts=LAYER_PARTS - {Part.ATTENTION})
    blocks = precision == "fp8" and bool(_IN_BLOCKS.match(found.id.lower()))
    return Quantization(precision=precision, block=blocks)


def base_precision(reader: Reader) -> str:
    """The 16- or 32-bit format of what is not quantised; engines serve fp32 checkpoints in 16 bits."""
    given = reader.find("dtype", "torch_dtype")
    found = _SIXTEEN_BIT.get(given.removeprefix("torch."), "bf16") if isinstance(given, str) else "bf16"
    return "bf16" if found == "fp32" else found


def quantization(reader: Reader, outer: Reader, layers: int) -> Quantization:
    """Read `quantization_config` of the text model, or of the whole."""
    plain = Quantization(precision=base_precision(reader))
    config = reader.child("quantization_config", "compression_config") or outer.child(
        "quantization_config", "compression_config"
    )
    if config is None:
        named = precision_in_name(reader.id)
        if named == "nvfp4" and "kv_lora_rank" in reader:  # published ones leave latent attention in 16 bits
            return Quantization(precision=named, parts=LAYER_PARTS - {Part.ATTENTION})
        return Quantization(precision=named) if named else plain
    return replace(_declared(config, reader, plain, layers), block="weight_block_size" in config)


def _declared(config: Reader, reader: Reader, plain: Quantization, layers: int) -> Quantization:
    method = config.text("quant_method").lower().replace("_", "-")
    if "quantized_layers" in config:
        return _mixed(config) or plain
    if (
        method in ("compressed-tensors", "modelopt", "modelopt-fp4")
        or "config_groups" in config
        or "quant_algo" in config
    ):
        return _groups(config, layers) or plain
    if method == "quark":
        return _quark(config, layers) or plain
    precision = _by_method(config, method)
    parts = _kept(LAYER_PARTS, _ignored(config), layers)
    if method == "fp8" and reader.find("expert_dtype") == "fp4":
        experts = Quantization(precision="mxfp4", parts=frozenset({Part.EXPERTS}))
        return _with(experts, Quantization(precision="fp8", parts=parts - {Part.EXPERTS}))
    if method == "mxfp4":
        parts = parts & {Part.EXPERTS}
    if config.flag("lm_head"):
        parts = parts | {Part.HEAD}
    return Quantization(precision=precision, parts=parts) if parts else plain


def _by_method(config: Reader, method: str) -> str:
    bits = config.size("bits", "w_bit", "nbits", default=0, least=0, most=32)
    if method == "mxfp4":
        return "mxfp4"
    if "fp8" in method:
        return "fp8"
    if method == "bitsandbytes":
        return "int4" if config.flag("load_in_4bit", "_load_in_4bit") else "int8"
    if bits or method in ("awq", "gptq", "auto-round", "hqq", "gptq-marlin", "awq-marlin"):
        return "int8" if bits > 4 else "int4"
    raise config.fail(
        f"quant_method {method!r} is not known",
        "pass the config.json without quantization_config, and name the precision in the scenario",
    )


def _ignored(config: Reader) -> list[str]:
    found: list[str] = []
    for name in ("modules_to_not_convert", "ignore", "exclude_modules", "ignored_layers", "exclude",
                 "llm_int8_skip_modules"):  # fmt: skip
        found += [item for item in config.items(name, object) or () if isinstance(item, str) and len(item) < 500]
    return found


def _matches(pattern: str, name: str) -> bool:
    """Does an entry of an ignore list (regular expression, glob, path or part of one) mean this module?"""
    if pattern.startswith("re:"):
        try:
            return re.match(pattern[3:], name) is not None
        except re.error:
            return False
    if any(sign in pattern for sign in "*?"):
        return fnmatchcase(name, pattern) or fnmatchcase(name, pattern + ".*") or fnmatchcase(name, "*." + pattern)
    return f".{pattern.strip('.')}." in f".{name}."


def _matcher(patterns: list[str]) -> Any:
    """A test of many names against many patterns: plain paths by look-up, only the others one by one."""
    plain = {p.strip(".") for p in patterns if not p.startswith("re:") and not any(s in p for s in "*?")}
    signs = [p for p in patterns if p.startswith("re:") or any(s in p for s in "*?")]

    def test(name: str) -> bool:
        words = name.split(".")
        runs = (".".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
        return any(run in plain for run in runs) or any(_matches(p, name) for p in signs)

    return test


def _prefixes(patterns: list[str]) -> str:
    """Where the checkpoint keeps its layers; ignore lists spell it out."""
    for pattern in patterns:
        found = re.match(r"((?:[a-z_]+\.)*layers)\.\d+", pattern)
        if found:
            return found[1]
    return "model.layers"


def _kept(parts: frozenset[Part], ignored: list[str], layers: int) -> frozenset[Part]:
    """The parts of which most modules are not ignored."""
    if not ignored:
        return parts
    test, prefix = _matcher(ignored), _prefixes(ignored)
    # A module name that the list never uses cannot speak for a part whose other names it does use.
    sample = range(layers) if layers <= 200 else range(0, layers, layers // 200 + 1)
    kept = set()
    for part in parts:
        hit = max(
            sum(test(f"{prefix}.{i}.{module}") for i in sample) / len(sample) for module in _MODULES.get(part, ("-",))
        )
        if part is Part.EXPERTS and any(".router" in pattern for pattern in ignored):
            # Gemma 4 keeps its experts beside its mlp, not in it
            hit = min(hit, sum(test(f"{prefix}.{i}.experts.0.gate_proj") for i in sample) / len(sample))
        if hit <= 0.5:
            kept.add(part)
    return frozenset(kept)


def _weights_precision(weights: Mapping[str, Any] | None, activations: Any, form: str) -> str | None:
    if not isinstance(weights, Mapping):
        return None
    bits, kind, group = weights.get("num_bits"), weights.get("type"), weights.get("group_size")
    if kind == "float":
        if bits == 4:
            return "mxfp4" if group == 32 or "mxfp4" in form else "nvfp4"
        return "fp8" if bits == 8 else None
    if isinstance(bits, int) and 0 < bits <= 8:
        return "int4" if bits <= 4 else "int8"
    return None


def _groups(config: Reader, layers: int) -> Quantization | None:
    """compressed-tensors and ModelOpt: groups of targets with a scheme each, and an ignore list."""
    ignored = _ignored(config)
    inner = config.child("quantization")  # the layout of ModelOpt's hf_quant_config.json
    algorithm = config.find("quant_algo") or (inner.find("quant_algo") if inner else None)
    found: list[Quantization] = []
    groups = config.child("config_groups")
    for name in sorted(groups.names()) if groups else ():
        group = groups.child(name) if groups else None
        if group is None:
            continue
        form = group.find("format") or config.find("format") or ""
        precision = _weights_precision(group.find("weights"), group.find("input_activations"), str(form))
        if precision is None:
            continue
        targets = [t for t in group.items("targets", object) or ["Linear"] if isinstance(t, str)]
        everything = any(re.fullmatch(r"[A-Z]\w*", target) for target in targets)  # a class: Linear
        parts = LAYER_PARTS if everything else LAYER_PARTS - _kept(LAYER_PARTS, targets, layers)
        parts = _kept(parts, ignored, layers)
        if parts:
            found.append(Quantization(precision=precision, parts=parts))
    if not found and isinstance(algorithm, str) and algorithm in _ALGORITHMS:
        parts = _kept(LAYER_PARTS, ignored + (_ignored(inner) if inner else []), layers)
        found = [Quantization(precision=_ALGORITHMS[algorithm], parts=parts)] if parts else []
    if not found:
        if ignored or isinstance(algorithm, str) or groups is not None:
            raise config.fail(
                "its quantization_config names no known weight format",
                "pass the config.json without quantization_config, and name the precision in the scenario",
            )
        return None
    return _with(*found)


def _mixed(config: Reader) -> Quantization | None:
    """ModelOpt's mixed precision: a format a module. Each part takes the one most of its modules have."""
    table = config.find("quantized_layers")
    votes: dict[Part, Counter[str]] = {}
    for name, scheme in table.items() if isinstance(table, Mapping) else ():
        if not isinstance(name, str) or not isinstance(scheme, Mapping):
            continue
        precision = _ALGORITHMS.get(str(scheme.get("quant_algo")))
        part = _part_of(name)
        if precision and part:
            votes.setdefault(part, Counter())[precision] += 1
    chosen = {part: counts.most_common(1)[0][0] for part, counts in votes.items()}
    if not chosen:
        return None
    by_precision = {
        precision: frozenset(part for part, found in chosen.items() if found == precision)
        for precision in sorted(set(chosen.values()), reverse=True)  # the narrowest last letters first: nvfp4, fp8
    }
    return _with(*(Quantization(precision=p, parts=parts) for p, parts in by_precision.items()))


def _part_of(name: str) -> Part | None:
    words = set(name.split("."))
    if "shared_experts" in words or "shared_expert" in words:
        return Part.SHARED
    if "experts" in words:
        return Part.EXPERTS
    if words & {"self_attn", "linear_attn", "attn", "attention"} or words & {
        "in_proj",
        "out_proj",
        "q_proj",
        "o_proj",
    }:
        return Part.ATTENTION
    if words & {"mlp", "ffn", "feed_forward"}:
        return Part.DENSE
    return Part.HEAD if "lm_head" in words else None


def _quark(config: Reader, layers: int) -> Quantization | None:
    """AMD Quark: one scheme for all, and an exclude list."""
    whole = config.child("global_quant_config")
    weight = whole.find("weight") if whole else None
    if isinstance(weight, list | tuple):
        weight = weight[0] if weight else None
    kind = str(weight.get("dtype", "")) if isinstance(weight, Mapping) else ""
    precision = next(
        (p for word, p in (("fp8", "fp8"), ("fp4", "mxfp4"), ("int4", "int4"), ("int8", "int8")) if word in kind),
        "fp8",
    )
    parts = _kept(LAYER_PARTS, _ignored(config), layers)
    return Quantization(precision=precision, parts=parts) if parts else None


def _with(first: Quantization, *rest: Quantization) -> Quantization:
    """Several formats in one checkpoint, each for its own parts."""
    taken, also = set(first.parts), None
    for other in reversed(rest):
        parts = other.parts - taken
        if parts:
            also = Quantization(precision=other.precision, parts=parts, also=also)
    return Quantization(precision=first.precision, parts=first.parts, also=also)
