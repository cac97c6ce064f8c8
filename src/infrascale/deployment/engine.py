"""Serving engines: their knobs under vLLM's names, and vLLM's own defaults for the GPU in question.

Source of the defaults: vllm/engine/arg_utils.py of 0.33.0 (server context), read 2026-11-24.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.hardware import Gpu
from infrascale.hardware.efficiency import release_of
from infrascale.units import GIB

#: As people write them.
ENGINE_NAMES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """An engine as configured. `max_model_len` None: the longest that model and cache allow."""

    name: str = "vllm"
    version: str | None = None
    max_num_seqs: int = 1024
    max_num_batched_tokens: int = 8192
    gpu_memory_utilization: float = 0.92
    max_model_len: int | None = None
    block_size: int = 16
    kv_cache_dtype: str = "auto"
    utilization_of_free: bool = False  # gpu_memory_utilization is of what weights leave (TensorRT-LLM), not of all
    prompts_first: bool = False  # steps carry prompts or answers, prompts as soon as there are any (SGLang's default)
    admission_wait_steps: float = 0.0  # scheduler_recv_interval (SGLang), batch_wait_timeout_iters (TensorRT-LLM)
    first_text_steps: float = 0.0  # decoding steps until a client sees the first text (stream_interval of both)
    reserves_output: bool = False  # admits a request only when its whole output fits (TensorRT-LLM's default policy)


def default_engine(
    gpu: Gpu, name: str = "vllm", version: str | None = None, memory_utilization: float | None = None
) -> Engine:
    """The engine as it starts when nobody turns a knob.

    vLLM: memory ≥ 160 GiB: 16384 tokens a step and 1024 sequences; ≥ 70 GiB and not A100: 8192 and 1024;
    all else, A100 80 GB included: 2048 and 256. Up to 0.19 the sequences are 256 and the utilisation is 0.9.
    """
    gib = gpu.hbm_bytes / GIB
    old = bool(version and release_of(version) and release_of(version) < (0, 20)) and name == "vllm"
    if gib >= 160:
        tokens, seqs = 16384, 1024
    elif gib >= 70 and gpu.architecture != "ampere":
        tokens, seqs = 8192, 1024
    else:
        tokens, seqs = 2048, 256
    if old:
        tokens, seqs = min(tokens, 8192), 256 if release_of(version or "") < (0, 10) else seqs
    if name in ("trtllm", "sglang"):
        tokens, seqs = 8192, 2048
    return Engine(
        name=name,
        version=version,
        max_num_seqs=seqs,
        max_num_batched_tokens=tokens,
        gpu_memory_utilization=memory_utilization or (0.9 if old or name != "vllm" else 0.92),
        utilization_of_free=name == "trtllm",
        reserves_output=name == "trtllm",
        prompts_first=name == "sglang",
    )
