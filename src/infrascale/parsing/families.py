"""What the code of a family does and its config.json leaves unsaid: biases, norms, ties, class defaults.

A family that differs from Llama only in such things is one line here; one with other layers has a builder in
`layers.py` or `special.py`. A model_type that is not here is read as Llama if it has Llama's keys.
Source: the classes of transformers 5.23 (configuration_*.py and modeling_*.py), read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """`window`: which layers slide without layer_types: none, all, late, even, every (but the n-th)."""

    qkv_bias: bool = False
    output_bias: bool | None = None  # None: as the queries, where the config itself asks for a bias
    mlp_bias: bool = False
    head_bias: bool = False
    qk_norm: str = ""  # "head": one vector per head_dim; "full": as wide as all heads
    norms: int = 2  # norm vectors a layer
    norm_bias: bool = False
    gated: bool = True
    attention_gate: bool = False
    sinks: bool = False
    window: str = "none"
    every: int = 0
    expert_bias: bool = False
    router_bias: bool = False
    shared_gate: bool = False
    tied: bool = False
    positions: int | None = None  # learned position vectors beyond max_model_len
    max_model_len: int = 2048
    defaults: Mapping[str, Any] = field(default_factory=dict)


LLAMA = Family(max_model_len=2048)
_OLD = {
    "norm_bias": True,
    "gated": False,
    "mlp_bias": True,
}  # the GPT generation: LayerNorm, two plain matrices
_GEMMA3 = Family(
    qk_norm="head", norms=4, window="every", every=6, tied=True, max_model_len=131072,
    defaults={
        "head_dim": 256, "sliding_window": 4096, "num_attention_heads": 8, "num_key_value_heads": 4,
        "vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
    },
)  # fmt: skip
_GEMMA4 = Family(
    qk_norm="head", norms=4, window="every", every=6, tied=True, max_model_len=131072,
    defaults={
        "head_dim": 256, "global_head_dim": 512, "sliding_window": 512, "vocab_size": 262144,
        "hidden_size_per_layer_input": 256, "vocab_size_per_layer_input": 262144,
    },
)  # fmt: skip
_GEMMA4_UNIFIED = Family(
    qk_norm="head", norms=4, window="every", every=6, tied=True, max_model_len=262144,
    defaults={"head_dim": 256, "global_head_dim": 512, "sliding_window": 1024, "vocab_size": 262144},
)  # fmt: skip
_MISTRAL = Family(window="all", max_model_len=131072, defaults={"num_key_value_heads": 8})
_DEEPSEEK = Family(max_model_len=4096)
_QWEN2 = Family(qkv_bias=True, output_bias=False, window="late", max_model_len=32768)
_QWEN2_MOE = Family(
    qkv_bias=True, output_bias=False, window="late", max_model_len=32768, shared_gate=True,
    defaults={"shared_expert_intermediate_size": 5632, "num_experts": 60, "num_experts_per_tok": 4},
)  # fmt: skip
_QWEN3 = Family(qk_norm="head", window="late", max_model_len=32768, defaults={"head_dim": 128})
_QWEN3_MOE = Family(qk_norm="head", window="late", max_model_len=32768)
_QWEN3_NEXT = Family(
    qk_norm="head", attention_gate=True, shared_gate=True, max_model_len=262144,
    defaults={
        "head_dim": 256, "full_attention_interval": 4, "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 128,
        "linear_value_head_dim": 128, "linear_num_key_heads": 16, "linear_num_value_heads": 32,
    },
)  # fmt: skip
_GRANITE_MOE = Family(max_model_len=4096, defaults={"shared_intermediate_size": 0})
_COHERE2 = Family(
    norms=1, tied=True, window="every", every=4, max_model_len=8192, defaults={"sliding_window": 4096}
)  # fmt: skip
_GPT2 = Family(qkv_bias=True, output_bias=True, tied=True, positions=0, max_model_len=1024, **_OLD)
_GLM4 = Family(qkv_bias=True, output_bias=False, norms=4, max_model_len=131072, defaults={"head_dim": 128})
_FALCON = Family(norm_bias=True, gated=False, norms=1, tied=True)
_OPT = Family(qkv_bias=True, output_bias=True, tied=True, positions=2, **_OLD)
_NEMOTRON_H = Family(gated=False, max_model_len=8192, defaults={"conv_kernel": 4, "n_groups": 8})
_EXAONE4 = Family(qk_norm="head", window="every", every=4, max_model_len=131072)

FAMILIES: dict[str, Family] = {
    "llama": LLAMA,
    "llama4_text": Family(
        window="llama4", max_model_len=131072,
        defaults={"attention_chunk_size": 8192, "interleave_moe_layer_step": 1}
    ),
    "mistral": _MISTRAL,
    "ministral3": _MISTRAL,
    "ministral": _MISTRAL,
    "mistral4": Family(max_model_len=1048576),
    "mixtral": _MISTRAL,
    "qwen": Family(qkv_bias=True, output_bias=False, max_model_len=8192),
    "qwen2": _QWEN2,
    "qwen2_vl_text": _QWEN2,
    "qwen2_5_vl_text": _QWEN2,
    "qwen2_5_omni_text": _QWEN2,
    "qwen2_moe": _QWEN2_MOE,
    "qwen3": _QWEN3,
    "qwen3_moe": _QWEN3_MOE,
    "qwen3_vl_text": _QWEN3,
    "qwen3_vl_moe_text": _QWEN3_MOE,
    "qwen3_omni_moe_text": _QWEN3_MOE,
    "qwen3_next": _QWEN3_NEXT,
    "qwen3_5_text": _QWEN3_NEXT,
    "qwen3_5_moe_text": _QWEN3_NEXT,
    "gemma": Family(tied=True, max_model_len=8192, defaults={"head_dim": 256}),
    "gemma2": Family(
        norms=4, window="even", tied=True, max_model_len=8192,
        defaults={"head_dim": 256, "sliding_window": 4096}
    ),
    "gemma3_text": _GEMMA3,
    "gemma3n_text": Family(
        qk_norm="head", norms=4, window="every", every=5, tied=True, max_model_len=32768,
        defaults={
            "head_dim": 256, "sliding_window": 512, "hidden_size_per_layer_input": 256, "laurel_rank": 64,
            "vocab_size_per_layer_input": 262144, "altup_num_inputs": 4,
        },
    ),
    "gemma4_text": _GEMMA4,
    "gemma4_unified_text": _GEMMA4_UNIFIED,
    "vaultgemma": Family(window="even", tied=True, defaults={"head_dim": 256, "sliding_window": 512}),
    "phi": Family(
        qkv_bias=True, output_bias=True, head_bias=True, norms=1, **_OLD
    ),
    "phi3": Family(window="all", max_model_len=4096, output_bias=False),
    "phimoe": Family(norm_bias=True, head_bias=False, max_model_len=131072, window="all"),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "deepseek_v32": _DEEPSEEK,
    "deepseek_v4": Family(max_model_len=1048576, sinks=True),
    "kimi_k2": _DEEPSEEK,
    "kimi_linear": Family(max_model_len=1048576),
    "glm4_moe_lite": _DEEPSEEK,
    "glm_moe_dsa": _DEEPSEEK,
    "gpt_oss": Family(
        qkv_bias=True, output_bias=True, sinks=True, window="even", expert_bias=True, router_bias=True,
        max_model_len=131072, defaults={"head_dim": 64, "sliding_window": 128},
    ),
    "glm": Family(qkv_bias=True, output_bias=False, max_model_len=131072, defaults={"head_dim": 128}),
    "glm4": _GLM4,
    "glm4v_text": _GLM4,
    "glm4_moe": Family(max_model_len=131072, output_bias=False),
    "glm4v_moe_text": Family(max_model_len=131072, output_bias=False),
    "chatglm": Family(max_model_len=8192, output_bias=False),
    "minimax": Family(max_model_len=32768),
    "minimax_m1": Family(max_model_len=32768),
    "minimax_text_01": Family(max_model_len=32768),
    "minimax_m2": Family(qk_norm="full", router_bias=True, max_model_len=196608),
    "minimax_m3": Family(qk_norm="head", router_bias=True, max_model_len=1048576),
    "minimax_m3_vl_text": Family(qk_norm="head", router_bias=True, max_model_len=1048576),
    "nemotron": Family(norm_bias=True, gated=False, max_model_len=4096),
    "nemotron_h": _NEMOTRON_H,
    "nemotron-nas": Family(max_model_len=131072),
    "cohere": Family(norms=1, tied=True, max_model_len=8192),
    "cohere2": _COHERE2,
    "cohere2_moe": _COHERE2,
    "falcon": _FALCON,
    "RefinedWeb": _FALCON,
    "RefinedWebModel": _FALCON,
    "falcon_h1": Family(max_model_len=8192),
    "gptj": Family(norms=1, head_bias=True, **_OLD),
    "gpt2": _GPT2,
    "gpt_bigcode": _GPT2,
    "gpt_neox": Family(qkv_bias=True, output_bias=True, **_OLD),
    "bloom": Family(qkv_bias=True, output_bias=True, tied=True, **_OLD),
    "mpt": Family(gated=False, tied=True),
    "opt": _OPT,
    "starcoder2": Family(
        qkv_bias=True, output_bias=True, window="all", tied=True, max_model_len=4096,
        **_OLD,
    ),
    "olmo": Family(norms=0),
    "olmo2": Family(qk_norm="full"),
    "olmo3": Family(qk_norm="full", window="every", every=4, defaults={"sliding_window": 4096}),
    "olmoe": Family(qk_norm="full", max_model_len=4096),
    "flex_olmo": Family(qk_norm="full", max_model_len=4096),
    "olmo_hybrid": Family(qk_norm="full", max_model_len=65536),
    "granite": Family(),
    "granitemoe": _GRANITE_MOE,
    "granitemoeshared": _GRANITE_MOE,
    "granitemoehybrid": _GRANITE_MOE,
    "bamba": Family(max_model_len=262144),
    "jamba": Family(max_model_len=262144, defaults={"attn_layer_period": 8, "attn_layer_offset": 4}),
    "smollm3": Family(tied=True, max_model_len=32768),
    "apertus": Family(qk_norm="head", gated=False, max_model_len=65536),
    "arcee": Family(gated=False, max_model_len=4096),
    "ernie4_5": Family(tied=True, max_model_len=131072, defaults={"head_dim": 128}),
    "ernie4_5_moe": Family(tied=True, max_model_len=131072),
    "hunyuan_v1_dense": Family(qk_norm="head", tied=True),
    "hunyuan_v1_moe": Family(qk_norm="head", tied=True),
    "hunyuan": Family(qk_norm="head", tied=True),
    "seed_oss": Family(qkv_bias=True, output_bias=False, max_model_len=524288, defaults={"head_dim": 128}),
    "stablelm": Family(norm_bias=True, output_bias=False, max_model_len=4096),
    "internlm": Family(qkv_bias=True, output_bias=True),
    "internlm2": Family(max_model_len=32768),
    "internlm3": Family(max_model_len=32768),
    "baichuan": Family(max_model_len=4096),
    "aquila": Family(),
    "exaone4": _EXAONE4,
    "exaone_moe": _EXAONE4,
    "exaone": Family(max_model_len=32768),
    "dots1": Family(qk_norm="head", max_model_len=131072),
    "solar_open": Family(qk_norm="", max_model_len=131072),
    "afmoe": Family(
        qk_norm="head", norms=4, attention_gate=True, window="every", every=4, router_bias=True,
        max_model_len=16384
    ),
    "mimo": Family(qkv_bias=True, output_bias=False, max_model_len=32768),
    "mimo_v2_flash": Family(max_model_len=262144, defaults={"sliding_window": 128}),
    "longcat_flash": Family(max_model_len=131072),
    "lfm2": Family(qk_norm="head", tied=True, max_model_len=128000),
    "lfm2_moe": Family(qk_norm="head", tied=True, router_bias=True, max_model_len=128000),
    "grok-1": Family(norms=4, tied=True, max_model_len=8192),
    "grok-2": Family(norms=4, max_model_len=131072),
    "arctic": Family(max_model_len=4096),
    "dbrx": Family(max_model_len=2048),
    "mllama_text_model": Family(max_model_len=131072),
    "muse_glimmer_text": Family(norms=4, attention_gate=True, max_model_len=131072),
    "laguna": Family(qk_norm="head", router_bias=True, max_model_len=131072),
    "bailing_moe": Family(max_model_len=16384),
    "bailing_moe_v2": Family(qk_norm="head", router_bias=True, max_model_len=32768),
    "step3p7": Family(qk_norm="head", router_bias=True, max_model_len=65536),
}  # fmt: skip


def _plain(model_type: str) -> str:
    """`llama4` and `llama4_text` are one family; so are `gemma3` and `gemma3_text`, and the rest."""
    for name in (model_type, f"{model_type}_text", model_type.removesuffix("_text")):
        if name in FAMILIES:
            return name
    return ""


def family_of(model_type: str) -> Family | None:
    """The family of a `model_type`, or None for one nobody entered."""
    return FAMILIES.get(_plain(model_type))
