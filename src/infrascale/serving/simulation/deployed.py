"""A deployment as the simulator takes it: vLLM's knobs, cache blocks, and its step times tabulated.

In: Deployment, StepTimer, the batch it may run.    Out: Settings, StepTable.
Attention-data-parallel ranks count as one engine with all their sequences, tokens and blocks; a step then takes as long
as with its load spread evenly. Where layers keep a window or a state, a block is priced at the longest request's mean.
"""

from __future__ import annotations

from infrascale.deployment import Deployment, StepTimer, cache_bytes_per_request, memory_budget
from infrascale.errors import ScenarioError
from infrascale.serving.simulation.request import Settings
from infrascale.serving.simulation.steptable import StepTable, graph_sizes, tabulate


def settings_of(
    deployment: Deployment,
    max_num_seqs: int,
    longest_tokens: int,
    *,
    by_priority: bool = False,
    async_scheduling: bool = False,
) -> Settings:
    """What one replica runs with. `longest_tokens`: of any request, its answer included."""
    engine, ranks = deployment.engine, deployment.shard.dp
    block_bytes = cache_bytes_per_request(deployment, longest_tokens) / -(-longest_tokens // engine.block_size)
    blocks = int(ranks * memory_budget(deployment).kv_cache_bytes / block_bytes) if block_bytes else 1 << 30
    if blocks * engine.block_size <= longest_tokens:
        raise ScenarioError(
            f"a request of {longest_tokens:,} tokens does not fit the cache",
            why=f"it holds {max(0, blocks * engine.block_size):,} tokens",
            fix="shorter lengths, more GPUs per replica, or a smaller format",
        )
    return Settings(
        kv_blocks=blocks,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max(max_num_seqs, engine.max_num_batched_tokens * ranks),
        block_size=engine.block_size,
        by_priority=by_priority,
        async_scheduling=async_scheduling,
    )


def table_of(deployment: Deployment, timer: StepTimer, settings: Settings, longest_tokens: int) -> StepTable:
    """Step times of the deployment, in CUDA graphs where the engine is vLLM."""
    return tabulate(
        timer,
        max_num_seqs=settings.max_num_seqs,
        max_num_batched_tokens=settings.max_num_batched_tokens,
        context_tokens=longest_tokens,
        cached_tokens=settings.kv_blocks * settings.block_size,
        graphs=graph_sizes(settings.max_num_seqs) if deployment.engine.name == "vllm" else (),
    )
