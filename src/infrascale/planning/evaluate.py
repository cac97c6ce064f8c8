"""One way of serving, judged: a deployment, a number of replicas and a batch give performance and four checks.

In: Scenario, Deployment, replicas N, batch exponent B.    Out: Outcome: load Q, Performance, the constraints.

    1 memory      weights + activations + runtime + cache of 2^B requests  ≤  usable memory of a GPU
    2 throughput  target  ≤  tokens/s of one request while min(Q, 1)·2^B run
    3 capacity    requests in flight  ≤  N · Q · 2^B, Q as the engine would queue them
    4 wait        target  ≥  TTFT + max(0, Q − 1) · time of one batch
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from infrascale.deployment import (
    Deployment,
    MemoryBudget,
    PhysicsTimer,
    StepTimer,
    cache_bytes_per_request,
    memory_budget,
    remembered,
)
from infrascale.hardware import Efficiency
from infrascale.planning.plan import Check, Constraint
from infrascale.planning.scenario import Scenario
from infrascale.serving import Limits, Performance, Regime, closed_loop
from infrascale.workload import in_flight


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    load: float
    performance: Performance
    checks: tuple[Check, ...]

    @property
    def keeps(self) -> bool:
        return all(check.needed <= check.available * (1 + 1e-9) for check in self.checks)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A scenario's promise held against one deployment. Step times are remembered by batch."""

    scenario: Scenario
    deployment: Deployment
    efficiency: Efficiency

    @cached_property
    def timer(self) -> PhysicsTimer:
        return PhysicsTimer(deployment=self.deployment, efficiency=self.efficiency)

    @cached_property
    def _step_s(self) -> StepTimer:
        return remembered(self.timer)

    @cached_property
    def memory(self) -> MemoryBudget:
        return memory_budget(self.deployment)

    @cached_property
    def _laws(self) -> Mapping[str, float]:
        return self.efficiency.laws

    @cached_property
    def _performances(self) -> dict[tuple[float, int], Performance]:
        return {}

    @cached_property
    def memory_checks(self) -> dict[int, Check]:
        return {}

    def memory_check(self, exponent: int) -> Check:
        """Cache of 2^B requests, each as long as it is on average, and never less than one whole request."""
        if exponent not in self.memory_checks:
            workload, shard = self.scenario.workload, self.deployment.shard
            mean = cache_bytes_per_request(self.deployment, workload.mean_context_tokens)
            whole = cache_bytes_per_request(self.deployment, workload.max_context_tokens)
            cache = max(2**exponent / shard.dp * mean, whole)
            self.memory_checks[exponent] = Check(
                constraint=Constraint.MEMORY,
                needed=self.memory.needed_bytes + cache,
                available=self.memory.total_bytes - self.memory.reserved_bytes,
                unit="bytes",
            )
        return self.memory_checks[exponent]

    def performance(self, requests: float, exponent: int) -> Performance:
        """A replica with `requests` in flight of which at most 2^B run."""
        key = (requests, exponent)
        if key not in self._performances:
            batch = float(2**exponent)
            engine = self.deployment.engine
            limits = Limits(
                max_num_seqs=batch,
                cached_seqs=batch,
                step_tokens=engine.max_num_batched_tokens * self.deployment.shard.dp,
            )
            self._performances[key] = closed_loop(
                self._step_s,
                self.scenario.workload,
                limits,
                self.timer.host,
                dict(self._laws),
                requests,
                Regime.STEADY,
            )
        return self._performances[key]

    def requests_per_replica(self, replicas: float, exponent: int) -> float:
        """Requests in flight in one replica: given, or the fixed point of Little's law, which queueing raises."""
        demand, extra = self.scenario.demand, 1 + self.scenario.headroom_fraction
        if demand.in_flight_requests is not None:
            return demand.in_flight_requests * extra / replicas
        most = 64.0 * 2**exponent

        def surplus(requests: float) -> float:
            stays = self.performance(requests, exponent).e2e_s.mean_s
            return in_flight(demand, stays) * extra / replicas - requests

        if surplus(most) > 0:
            return most
        low, high = 0.0, most
        tiny = 1e-6
        if surplus(tiny) <= 0:
            return tiny
        while high - low > 1e-6 * max(1.0, high):
            middle = (low + high) / 2
            low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
        return high

    def outcome(self, replicas: float, exponent: int) -> Outcome:
        promise = self.scenario.promise
        requests = self.requests_per_replica(replicas, exponent)
        batch = float(2**exponent)
        load = requests / batch
        found = self.performance(max(requests, 1e-9), exponent) if requests >= 1 else self.performance(1.0, exponent)
        checks = (
            self.memory_check(exponent),
            Check(
                constraint=Constraint.THROUGHPUT,
                needed=promise.token_per_s,
                available=found.token_per_s_per_request,
                unit="token_per_s",
            ),
            Check(
                constraint=Constraint.CAPACITY,
                needed=requests * replicas,
                available=replicas * max(1.0, load) * batch,
                unit="requests",
            ),
            Check(constraint=Constraint.WAIT, needed=found.ttft_s.mean_s, available=promise.ttft_s, unit="s"),
        )
        return Outcome(load=load, performance=found, checks=checks)
