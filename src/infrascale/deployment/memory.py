"""Where the memory of one GPU goes, and how many requests its cache holds.

In: Deployment.    Out: MemoryBudget, requests that fit.

    KV cache = utilisation · what the GPU has − weights − activations − CUDA graphs − runtime     (vLLM, SGLang)
    KV cache = utilisation · (what the GPU has − weights − activations − CUDA graphs − runtime)   (TensorRT-LLM)

Bytes throughout: the GPU's memory is what its driver reports, so gigabytes and gibibytes never meet.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.deployment.deployment import Deployment
from infrascale.units import GIB
from infrascale.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBudget:
    """One GPU, in bytes. `kv_cache_bytes` is negative when the weights alone do not fit."""

    total_bytes: float
    reserved_bytes: float  # left to the driver and others by gpu_memory_utilization
    weights_bytes: float
    activations_bytes: float
    graphs_bytes: float
    runtime_bytes: float

    @property
    def kv_cache_bytes(self) -> float:
        used = self.weights_bytes + self.activations_bytes + self.graphs_bytes + self.runtime_bytes
        return self.total_bytes - self.reserved_bytes - used

    @property
    def needed_bytes(self) -> float:
        """Everything but the cache."""
        return self.weights_bytes + self.activations_bytes + self.graphs_bytes + self.runtime_bytes


# CUDA context and NCCL buffers outside the allocator: 0.27 GiB alone, 2.1 GiB in a tensor-parallel group.
# Source: llm-d-planner 0.3.3 (Apache-2.0), measured on vLLM; entered 2026-11-24.
RUNTIME_BYTES = 0.27 * GIB
RUNTIME_PARALLEL_BYTES = 2.1 * GIB
# Captured CUDA graphs: about 0.3 GiB for a model of 32 layers in vLLM 0.2x; they grow with the layers.
GRAPH_BYTES_PER_LAYER = 0.01 * GIB
# Copies of the widest activation alive at the peak of vLLM's profiling run.
ACTIVATION_COPIES = 3.0


def memory_budget(deployment: Deployment) -> MemoryBudget:
    """Split of the fullest GPU's memory as vLLM's start-up profiling would find it.

    Activations: a step of max_num_batched_tokens through the widest layer, plus fp32 logits for max_num_seqs.
    """
    model, engine, shard = deployment.model, deployment.engine, deployment.shard
    total = deployment.gpu.hbm_bytes
    tokens = min(engine.max_num_batched_tokens, engine.max_num_seqs * model.max_model_len)
    wide = max(
        (linear.outputs / shard.tp for _, block in model.blocks for linear in block.linears),
        default=model.hidden,
    )
    per_token = ACTIVATION_COPIES * (model.hidden + wide) * deployment.numerics.activation_bytes
    logits = 2 * min(engine.max_num_seqs, tokens) * model.vocab * 4 / shard.tp
    weights = model.weight_bytes_per_gpu(shard, deployment.numerics)
    activations = max(tokens * per_token, logits)
    graphs = GRAPH_BYTES_PER_LAYER * model.layers / shard.pp
    runtime = RUNTIME_BYTES if shard.gpus == 1 else RUNTIME_PARALLEL_BYTES
    shared = total - (weights + activations + graphs + runtime) * engine.utilization_of_free
    return MemoryBudget(
        total_bytes=total,
        reserved_bytes=(1 - engine.gpu_memory_utilization) * max(0.0, shared),
        weights_bytes=weights,
        activations_bytes=activations,
        graphs_bytes=graphs,
        runtime_bytes=runtime,
    )


def cache_bytes_per_request(deployment: Deployment, tokens: float) -> float:
    """What one request of `tokens` occupies on the fullest GPU, block by block [bytes]."""
    block = deployment.engine.block_size
    rounded = -(-tokens // block) * block
    whole = deployment.model.cache_bytes(rounded, deployment.numerics.kv_bytes, deployment.shard.tp)
    return whole / deployment.shard.pp


def requests_that_fit(deployment: Deployment, workload: Workload, budget: MemoryBudget | None = None) -> float:
    """Requests the cache of one replica holds at once, on average over their lives; 0 when not even one fits.

    vLLM admits on the prompt and grows block by block, so a request weighs ISL + OSL/2; an engine that reserves
    the output weighs ISL + OSL. One whole request must fit in any case.
    """
    budget = budget or memory_budget(deployment)
    room = budget.kv_cache_bytes
    if room < cache_bytes_per_request(deployment, workload.max_context_tokens):
        return 0.0
    held = workload.max_context_tokens if deployment.engine.reserves_output else workload.mean_context_tokens
    return deployment.shard.dp * room / cache_bytes_per_request(deployment, held)


def longest_request_tokens(deployment: Deployment, budget: MemoryBudget | None = None) -> int:
    """The longest single request the cache holds: vLLM refuses a larger max_model_len."""
    budget = budget or memory_budget(deployment)
    low, high = 0, deployment.model.max_model_len
    if cache_bytes_per_request(deployment, high) <= budget.kv_cache_bytes:
        return high
    while low < high - 1:
        middle = (low + high) // 2
        fits = cache_bytes_per_request(deployment, middle) <= budget.kv_cache_bytes
        low, high = (middle, high) if fits else (low, middle)
    return low
