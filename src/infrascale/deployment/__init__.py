"""Deployments: a model on hardware under an engine, its memory and the time of its steps."""

from infrascale.deployment.deployment import (
    Deployment,
    kv_cache_dtypes,
    runs,
    shards,
    tensor_parallel_degrees,
)
from infrascale.deployment.engine import ENGINE_NAMES, Engine, default_engine
from infrascale.deployment.memory import (
    MemoryBudget,
    cache_bytes_per_request,
    longest_request_tokens,
    memory_budget,
    requests_that_fit,
)
from infrascale.deployment.power import SERVER_W_PER_GPU, busy_power_w, idle_power_w, peak_kw
from infrascale.deployment.timer import PhysicsTimer, StepTimer, remembered

__all__ = [
    "ENGINE_NAMES",
    "SERVER_W_PER_GPU",
    "Deployment",
    "Engine",
    "MemoryBudget",
    "PhysicsTimer",
    "StepTimer",
    "busy_power_w",
    "cache_bytes_per_request",
    "default_engine",
    "idle_power_w",
    "kv_cache_dtypes",
    "longest_request_tokens",
    "memory_budget",
    "peak_kw",
    "remembered",
    "requests_that_fit",
    "runs",
    "shards",
    "tensor_parallel_degrees",
]
