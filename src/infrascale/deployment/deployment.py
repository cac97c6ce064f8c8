"""A model on hardware under an engine: one replica, and the ways it may be cut.

In: Model, Gpu, Shard, Engine, Quantization.    Out: Deployment, legal shards, which precisions a GPU can run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from infrascale.deployment.engine import Engine
from infrascale.hardware import Gpu
from infrascale.model import Model, Quantization, numerics
from infrascale.model.blocks import Moe
from infrascale.precision import KV_BYTES_PER_ELEMENT
from infrascale.work import Numerics, Shard


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One replica. Replicas beside it are counted elsewhere."""

    model: Model
    gpu: Gpu
    shard: Shard
    engine: Engine
    quantization: Quantization

    @cached_property
    def kv_dtype(self) -> str:
        name = self.engine.kv_cache_dtype
        return "bf16" if name == "auto" else "fp8" if name.startswith("fp8") else name

    @cached_property
    def numerics(self) -> Numerics:
        base = "fp32" if self.quantization.precision == "fp32" else "bf16"
        return numerics(self.quantization, dict(self.gpu.flop_per_s), KV_BYTES_PER_ELEMENT[self.kv_dtype], base)


def tensor_parallel_degrees(model: Model, most: int) -> list[int]:
    """Powers of two, and what else divides the attention heads, up to `most` GPUs.

    vLLM needs heads % tp == 0, and kv_heads % tp == 0 or tp % kv_heads == 0 (heads are then copied).
    """

    def legal(tp: int) -> bool:
        fits = model.heads % tp == 0
        return fits and (model.kv_heads % tp == 0 or tp % model.kv_heads == 0)

    return [tp for tp in (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 32) if tp <= most and legal(tp)]


def shards(model: Model, gpu: Gpu, most_gpus: int) -> Iterator[Shard]:
    """Every way to cut one replica: tensor parallel within a server's link, then pipelined over servers.

    A mixture of experts may also spread its experts whole over the GPUs (vLLM: --enable-expert-parallel), with
    attention cut (tensor parallel) or each request's attention on one rank (--data-parallel-size), which keeps a
    latent cache from being copied. Pipelines over servers take the widest cut inside one.
    """
    inside = max(1, min(gpu.gpus_per_server, most_gpus))
    degrees = [tp for tp in tensor_parallel_degrees(model, inside) if inside % tp == 0 or tp == inside]
    for tp in degrees:
        yield Shard(tp=tp)
    for pp in (2, 4, 8):
        if pp <= model.layers and degrees[-1] * pp <= most_gpus:
            yield Shard(tp=degrees[-1], pp=pp)
    experts = gcd(*(block.experts for _, block in model.blocks if isinstance(block, Moe)))
    for gpus in (2, 4, 8, 16, 32):
        if experts and experts % gpus == 0 and gpus <= most_gpus:
            yield from (Shard(tp=tp, dp=gpus // tp, ep=gpus) for tp in degrees if gpus % tp == 0)


#: Weight-only kernels (Marlin and kin) and native ones: what vLLM runs where. Source: vLLM's "Supported Hardware"
#: table for quantisation (docs, 0.11–0.33) and the chips' own rates; a format is native where `flop_per_s` has it.
_WEIGHT_ONLY = {
    "fp8": {"ampere", "orin", "ada", "hopper", "blackwell", "blackwell-rtx", "cdna2"},
    "int4": {
        "volta",
        "turing",
        "orin",
        "xe2",
        "rdna3",
        "rdna4",
        "ampere",
        "ada",
        "hopper",
        "blackwell",
        "blackwell-rtx",
        "cdna2",
        "cdna3",
        "cdna4",
        "xe-hpc",
        "gaudi2",
        "gaudi3",
    },
    "mxfp4": {"ampere", "orin", "ada", "hopper", "blackwell", "blackwell-rtx", "cdna3", "cdna4"},
    "nvfp4": {"ampere", "ada", "hopper", "blackwell", "blackwell-rtx"},
}
_NATIVE = {"fp8": "fp8", "int8": "int8", "nvfp4": "fp4", "mxfp4": "fp4"}


def runs(precision: str, gpu: Gpu) -> bool:
    """Whether vLLM has a kernel for this format on this chip, native or weight-only."""
    if precision in ("fp32", "bf16", "fp16"):
        return True  # chips without bf16 run the same weights as fp16
    if precision == "nvfp4" and gpu.vendor != "nvidia":
        return False
    if precision == "int8" and gpu.architecture in ("blackwell", "volta"):
        return False  # vLLM ships no int8 CUTLASS kernel for sm100
    native = _NATIVE.get(precision)
    return (native in gpu.flop_per_s) or gpu.architecture in _WEIGHT_ONLY.get(precision, set())


def kv_cache_dtypes(gpu: Gpu) -> tuple[str, ...]:
    """Cache formats vLLM offers on this chip: fp8 needs Ada, Hopper, Blackwell, CDNA3 or newer."""
    return ("auto", "fp8") if "fp8" in gpu.flop_per_s else ("auto",)
