"""The question, in our own types: who asks for what, with which promise, on which hardware.

A Scenario holds choices, not answers. Outside words (files, flags) become one in `parsing.scenarios`.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.hardware import Gpu
from infrascale.model import Model
from infrascale.serving import Performance
from infrascale.units import HOUR_S
from infrascale.workload import Demand, Workload

#: llm-d-planner 0.3.3 (Apache-2.0), its table of use cases: an active chat user sends 0.4 requests a minute.
REQUESTS_PER_USER_HOUR = 0.4 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A reading speed and a time to first token, queueing included: as means, or for a share of the requests.

    `speed_share`, `ttft_share` 0.95: that share of the requests is at least as fast, has waited no longer.
    """

    token_per_s: float
    ttft_s: float
    speed_share: float | None = None
    ttft_share: float | None = None

    @property
    def is_of_shares(self) -> bool:
        return self.speed_share is not None or self.ttft_share is not None

    def tpot_of(self, found: Performance) -> float:
        """The TPOT that the promise is held against [s]."""
        return found.tpot_s.mean_s if self.speed_share is None else found.tpot_s.quantiles_s[self.speed_share]

    def ttft_of(self, found: Performance) -> float:
        """The TTFT that the promise is held against [s]."""
        return found.ttft_s.mean_s if self.ttft_share is None else found.ttft_s.quantiles_s[self.ttft_share]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """Engine settings that the person fixed; None leaves the engine's default for the GPU."""

    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    max_model_len: int | None = None
    kv_cache_dtype: str = "auto"
    engine: str = "vllm"
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`precisions` empty: the checkpoint's own. `redundancy`: replicas beyond the need (N+1 is 1).

    `headroom_fraction`: share of the demand added on top. What a user does is told by one of three:
    `requests_per_user`, the share of users with a request in flight; `requests_per_user_hour`; think_s in the demand.
    `habit_is_assumed`: that rate is our default and not the person's.
    """

    model: Model
    gpus: tuple[Gpu, ...]
    demand: Demand
    workload: Workload
    promise: Promise
    precisions: tuple[str, ...] = ()
    knobs: Knobs = Knobs()
    most_gpus: int | None = None
    most_kw: float | None = None  # GPUs at their limit and the servers around them, before cooling
    gpus_per_replica: tuple[int, ...] = ()
    redundancy: int = 0
    headroom_fraction: float = 0.0
    users: float | None = None
    requests_per_user: float | None = None
    requests_per_user_hour: float | None = None
    habit_is_assumed: bool = False
    arrival_cv: float = 1.0  # of the gaps between requests: 1 Poisson; counts where the promise is for a share

    def share_in_flight(self, stays_s: float) -> float:
        """Share of the connected users with a request in flight, each staying `stays_s` (Little's law on one user).

        24 an hour that stay 12.9 s: 24 / 3600 · 12.9 = 0.086. Without a habit a user is a request in flight.
        """
        if self.demand.think_s is not None:
            return stays_s / (stays_s + self.demand.think_s)
        if self.requests_per_user_hour is not None:
            return self.requests_per_user_hour / HOUR_S * stays_s
        return self.requests_per_user or 1.0
