"""Number formats: how many bytes a weight takes and which arithmetic multiplies it.

In: a precision's name as a person or a config.json spells it.    Out: Precision.
Knows no GPU: whether a chip has the arithmetic is decided in `deployment`, from its dense rates per dtype.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """A weight format.

    `compute` lists the arithmetic it runs in, best first: the first that the GPU's tensor cores have is used.
    Where only a later one is there, weights are expanded on the fly (weight-only kernels such as Marlin).
    """

    name: str
    weight_bytes_per_param: float  # scales and zero points included
    compute: tuple[str, ...]


_SIXTEEN = ("bf16", "fp16")

# Scales: fp8 and int8 carry one per channel or 128×128 block, too few to count. int4 (AWQ, GPTQ) carries one
# fp16 scale and a packed zero point per group of 128; mxfp4 one byte per 32; nvfp4 one fp8 per 16.
PRECISIONS = {
    p.name: p
    for p in (
        Precision(name="fp32", weight_bytes_per_param=4.0, compute=("fp32",)),
        Precision(name="bf16", weight_bytes_per_param=2.0, compute=_SIXTEEN),
        Precision(name="fp16", weight_bytes_per_param=2.0, compute=("fp16",)),
        Precision(name="fp8", weight_bytes_per_param=1.0, compute=("fp8", *_SIXTEEN)),
        Precision(name="int8", weight_bytes_per_param=1.0, compute=("int8", *_SIXTEEN)),
        Precision(name="int4", weight_bytes_per_param=0.5 + 2.5 / 128, compute=_SIXTEEN),
        Precision(name="mxfp4", weight_bytes_per_param=0.5 + 1 / 32, compute=("fp4", *_SIXTEEN)),
        Precision(name="nvfp4", weight_bytes_per_param=0.5 + 1 / 16, compute=("fp4", *_SIXTEEN)),
    )
}

ALIASES = {
    "float32": "fp32", "float": "fp32", "bfloat16": "bf16", "float16": "fp16", "half": "fp16",
    "fp8_e4m3": "fp8", "e4m3": "fp8", "w8a8-fp8": "fp8", "fp8-dynamic": "fp8", "fp8_block": "fp8", "mxfp8": "fp8",
    "w8a8": "int8", "int8-w8a8": "int8",
    "w4a16": "int4", "awq": "int4", "gptq": "int4", "awq_marlin": "int4", "gptq_marlin": "int4",
    "bnb": "int4", "bitsandbytes": "int4", "nf4": "int4",
    "fp4": "nvfp4", "nvfp4_w4a4": "nvfp4", "modelopt_fp4": "nvfp4", "mxfp4_w4a16": "mxfp4",
}  # fmt: skip

KV_BYTES_PER_ELEMENT = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "fp8": 1.0}


def canonical(name: str) -> str | None:
    """The precision's name in this project, or None when nobody knows it."""
    word = name.strip().lower()
    word = ALIASES.get(word, word)
    return word if word in PRECISIONS else None
