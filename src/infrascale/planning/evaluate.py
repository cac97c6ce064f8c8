"""One way of serving, judged: a deployment, a number of replicas and a batch give performance and four checks.

In: Scenario, Deployment, replicas N, batch.    Out: Outcome: load Q, Performance, the constraints.

    1 memory      weights + activations + runtime + cache of a full batch  ≤  usable memory of a GPU
    2 throughput  target  ≤  tokens/s of one request while min(Q, 1)·b run
    3 capacity    requests in flight  ≤  N · Q · b
    4 wait        target  ≥  TTFT + max(0, Q − 1) · time of one batch

b is the batch: 2^B, or what the cache or max_num_seqs leaves of it. Q is the load of one replica: its requests in
flight over b. Capacity ties the demand to it and takes two readings, both kept: at the answer Q is the load there is,
so 2 and 4 are judged at it; what N replicas may carry is N · Q* · b, with Q* the largest load that keeps 2 and 4, and
that is what the demand is checked against. Either way the same N do.
A promise for a share of the requests is held against quantiles under random arrivals (`serving.queueing`) at the rate
that Little's law gives the load. Where the demand is a rate, which no wait slows down, a queue before a full batch
would only grow: of a mean promise too, the batch must then hold two standard deviations more than the mean in flight
(Poisson's, √mean), so that a busy moment finds its places.
Knows no catalog and no words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import floor, inf

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
from infrascale.serving import Limits, Performance, Regime, Saturated, Spread, closed_loop, steps_until_seen
from infrascale.serving.lattice import PROBABILITIES
from infrascale.serving.queueing import Replica
from infrascale.serving.routing import Arrivals
from infrascale.work import Batch
from infrascale.workload import in_flight

#: Relative width that a promise is kept to: what floating point leaves.
TOLERANCE = 1e-9
#: What Little's law, turned round and back, leaves of a load at its limit.
FULL = 1e-6
#: Standard deviations that must fit beside a mean: of a full batch's cache (beyond, vLLM evicts and computes anew), and
#: of the requests in flight under a rate (beyond, they wait for a place).
DEVIATIONS = 2.0
_NEVER = dict.fromkeys(PROBABILITIES, inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    load: float
    performance: Performance
    checks: tuple[Check, ...]

    @property
    def keeps(self) -> bool:
        return all(check.needed <= check.available * (1 + TOLERANCE) for check in self.checks)


@dataclass(frozen=True, slots=True)
class Tables:
    """What one deployment was found to do under one workload: step times, means and quantiles by load and batch.

    Of the promise and the demand nothing in them knows, so they may outlive a question (`planning.tables`).
    """

    steps: dict[Batch, float] = field(default_factory=dict)
    means: dict[tuple[float, float], Performance] = field(default_factory=dict)
    spreads: dict[tuple[float, float], Performance] = field(default_factory=dict)
    replicas: dict[float, Replica] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A scenario's promise held against one deployment. What was computed is remembered."""

    scenario: Scenario
    deployment: Deployment
    efficiency: Efficiency
    tables: Tables = field(default_factory=Tables, compare=False, repr=False)

    @cached_property
    def timer(self) -> PhysicsTimer:
        return PhysicsTimer(deployment=self.deployment, efficiency=self.efficiency)

    @cached_property
    def _step_s(self) -> StepTimer:
        return remembered(self.timer, self.tables.steps)

    @cached_property
    def memory(self) -> MemoryBudget:
        return memory_budget(self.deployment)

    @cached_property
    def _laws(self) -> dict[str, float]:
        return dict(self.efficiency.laws)

    @cached_property
    def _cache_bytes(self) -> tuple[float, float, float]:
        """Cache of a request on average and its deviation; of the longest that must fit, or of max_model_len."""
        workload, fixed = self.scenario.workload, self.scenario.knobs.max_model_len or 0
        mean, spread = workload.mean_context_tokens, workload.sd_context_tokens
        if self.deployment.engine.reserves_output:
            mean = workload.max_context_tokens
        longest = max(workload.max_context_tokens, fixed)
        average, wider, whole = (
            cache_bytes_per_request(self.deployment, tokens) for tokens in (mean, mean + spread, longest)
        )
        return average, wider - average, whole

    def memory_check(self, batch: float) -> Check:
        """The cache of a full batch beside everything else."""
        return Check(
            constraint=Constraint.MEMORY,
            needed=self.memory.needed_bytes + self._batch_bytes(batch),
            available=self.memory.total_bytes - self.memory.reserved_bytes,
            unit="bytes",
        )

    def _batch_bytes(self, batch: float) -> float:
        """Cache that a full batch needs but for one moment in forty, and never less than one of the longest."""
        mean, spread, longest = self._cache_bytes
        each = batch / self.deployment.shard.dp
        return max(each * mean + DEVIATIONS * each**0.5 * spread, longest) if each > 1 else longest

    def most_held(self) -> int:
        """The largest batch whose cache fits, as many requests on every attention rank; 0 where not even one does."""
        room, most = self.memory.kv_cache_bytes, self.deployment.engine.max_num_seqs
        mean, spread, longest = self._cache_bytes
        if longest > room:
            return 0
        aside = DEVIATIONS * spread
        root = ((aside**2 + 4 * mean * room) ** 0.5 - aside) / (2 * mean) if mean > 0 else inf
        each = max(1, floor(min(most, root**2)))
        while each > 1 and self._batch_bytes(each * self.deployment.shard.dp) > room:
            each -= 1  # a rounding away
        return each * self.deployment.shard.dp

    @property
    def least(self) -> float:
        """The lightest load of a replica that is looked at: one request, or one for a sixty-fourth of the time."""
        return 1 / 64 if self.never_queues else 1.0

    @property
    def alone(self) -> Performance:
        """A replica that has hardly anything to do, and a place for all who come."""
        return self.performance(self.least, self._places if self.never_queues else 1)

    def _limits(self, batch: float) -> Limits:
        step_tokens = self.deployment.engine.max_num_batched_tokens * self.deployment.shard.dp
        return Limits(max_num_seqs=batch, cached_seqs=batch, step_tokens=step_tokens)

    @cached_property
    def never_queues(self) -> bool:
        return self.scenario.promise.is_of_shares or self.scenario.demand.request_per_s is not None

    def full(self, batch: float) -> float:
        """The most requests in flight on average that do not queue before this batch.

        mean + 2 √mean ≤ b under a rate: 107 of 128. A promise for a share of the requests sees to it by itself.
        """
        if self.scenario.promise.is_of_shares or not self.never_queues:
            return batch
        return ((batch + (DEVIATIONS / 2) ** 2) ** 0.5 - DEVIATIONS / 2) ** 2

    def performance(self, requests: float, batch: float) -> Performance:
        """A replica with `requests` in flight on average, at least `least`, of which at most `batch` run.

        Infinite where a queue would only grow.
        """
        found = self._mean(requests, batch)
        if self.never_queues and requests > self.full(batch) * (1 + FULL):
            return _never(found)
        if not self.scenario.promise.is_of_shares:
            return found
        key = (max(self.least, requests), batch)
        spread = self.tables.spreads.get(key)
        if spread is None:
            spread = self.tables.spreads[key] = self._spread(found, key[0] / found.e2e_s.mean_s, batch)
        return spread

    def _mean(self, requests: float, batch: float) -> Performance:
        """The same in the mean: what ties loads to rates, by Little's law."""
        key = (max(1.0, requests), batch if requests > batch else self._places)
        found = self.tables.means.get(key)
        if found is None:
            limits, host = self._limits(key[1]), self.timer.host
            found = self.tables.means[key] = closed_loop(
                self._step_s, self.scenario.workload, limits, host, self._laws, key[0], Regime.STEADY
            )
        return found

    @cached_property
    def _replica(self) -> Replica:
        """With room for any number: those with room for others share its step times."""
        return next(iter(self.tables.replicas.values()), None) or Replica(
            timer=self._step_s,
            workload=self.scenario.workload,
            limits=self._limits(1.0),
            host=self.timer.host,
            unseen_steps=steps_until_seen(self.deployment),
        )

    def _spread(self, found: Performance, request_per_s: float, batch: float) -> Performance:
        """The same replica under random arrivals at this rate, with quantiles; infinite where it is saturated.

        The mean of E2E stays that of the closed loop, which ties loads to rates and replicas to demands.
        """
        if batch not in self.tables.replicas:
            self.tables.replicas[batch] = self._replica.within(self._limits(batch))
        arrivals = Arrivals(request_per_s=request_per_s, scv=self.scenario.arrival_cv**2)
        loaded = self.tables.replicas[batch].under(arrivals)
        if isinstance(loaded, Saturated):
            return replace(
                found,
                ttft_s=replace(found.ttft_s, quantiles_s=_NEVER),
                tpot_s=replace(found.tpot_s, quantiles_s=_NEVER),
            )
        e2e_s = Spread(mean_s=found.e2e_s.mean_s, quantiles_s=loaded.spread(2).quantiles_s)
        return replace(found, ttft_s=loaded.spread(0), tpot_s=loaded.spread(1), e2e_s=e2e_s)

    def comfort(self, found: Performance) -> float:
        """Slack of the tighter of the two promises, as a share; below 0 one is broken."""
        promise = self.scenario.promise
        quick = 1 - promise.token_per_s * promise.tpot_of(found)
        return min(quick, 1 - promise.ttft_of(found) / promise.ttft_s)

    def ease(self, found: Performance) -> float:
        """By how much the tighter of the two promises could be tighter still; of the sign of comfort.

        Near saturation waits grow as 1 / (1 − load): this falls in a straight line there, and stays between ±1.
        """
        promise = self.scenario.promise
        quick = 1 / (promise.token_per_s * promise.tpot_of(found))
        return min(2.0, quick, promise.ttft_s / promise.ttft_of(found)) - 1

    def replicas_for(self, requests: float, batch: float) -> float:
        """Replicas, not rounded, that leave `requests` in flight in each (Little's law where a rate is asked)."""
        known = self._replicas.setdefault(batch, {})
        if requests not in known:
            stays_s = self._mean(requests, batch).e2e_s.mean_s
            flying = in_flight(self.scenario.demand, stays_s) * (1 + self.scenario.headroom_fraction)
            known[requests] = flying / requests
        return known[requests]

    @cached_property
    def _replicas(self) -> dict[float, dict[float, float]]:
        return {}

    def beyond(self, batch: float) -> float:
        """Requests in one replica of which the last waits longer than the promise allows, whatever else."""
        if self.never_queues:
            return self.full(batch)
        return batch * (1 + self.scenario.promise.ttft_s / self._mean(batch, batch).e2e_s.mean_s)

    def requests_per_replica(self, replicas: float, batch: float, most: float | None = None) -> float:
        """Requests in flight in one replica: given, or where Little's law and the replica's speed first meet.

        `most`: known to be enough. Where more arrives than is ever served they pile up; twice what the promise bears is
        then returned.
        """
        demand = self.scenario.demand
        if demand.in_flight_requests is not None:
            return demand.in_flight_requests * (1 + self.scenario.headroom_fraction) / replicas
        if demand.request_per_s is not None:
            batch = self._places  # none waits for a place, so the batch does not count
        key = (replicas, batch)
        if key not in self._loads:
            self._loads[key] = self._load(replicas, batch, most or max(2.0, 2 * self.beyond(batch)))
        return self._loads[key]

    def _load(self, replicas: float, batch: float, most: float) -> float:
        """Found on what the demand would put in flight beyond what is, nearly straight; from the nearest points known.

        Where throughput is not monotone and they meet more than once, the lowest load is where a replica comes to rest.
        """
        alone = self.replicas_for(self.least, batch) / replicas
        if alone <= 1:
            return alone * self.least
        if self.replicas_for(most, batch) > replicas:
            return most
        known = self._replicas[batch]  # those two among them
        high = min(requests for requests, fewest in known.items() if fewest <= replicas)
        low = max(requests for requests in known if requests < high)
        low, high = crossing(lambda requests: requests * (self.replicas_for(requests, batch) / replicas - 1), low, high)
        return (low + high) / 2

    @cached_property
    def _loads(self) -> dict[tuple[float, float], float]:
        return {}

    @property
    def _places(self) -> int:
        return self.deployment.engine.max_num_seqs * self.deployment.shard.dp

    def outcome(self, replicas: float, batch: float, most: float | None = None) -> Outcome:
        promise = self.scenario.promise
        requests = self.requests_per_replica(replicas, batch, most)
        found = self.performance(requests, batch)
        checks = (
            self.memory_check(batch),
            Check(
                constraint=Constraint.THROUGHPUT,
                needed=promise.token_per_s,
                available=1 / promise.tpot_of(found),
                unit="token_per_s",
            ),
            Check(constraint=Constraint.WAIT, needed=promise.ttft_of(found), available=promise.ttft_s, unit="s"),
        )
        return Outcome(load=requests / batch, performance=found, checks=checks)

    def capacity_check(self, replicas: int, batch: float, requests: float, bracket: tuple[float, float]) -> Check:
        """What the demand puts in flight, and what N replicas that keep the promise at it could carry: N · Q* · b.

        Found from below, to a hundredth, within the `bracket` known to hold Q* · b.
        """
        most, _ = crossing(
            lambda load: self.comfort(self.performance(load, batch)) + TOLERANCE,
            max(requests, bracket[0]),
            max(requests, bracket[1]),
            lambda low, high: high - low <= 1e-2 * high,
        )
        return Check(
            constraint=Constraint.CAPACITY,
            needed=requests * replicas,
            available=most * replicas,
            unit="requests",
        )


def _never(found: Performance) -> Performance:
    """Waits without end. The mean of E2E stays, which ties loads to rates."""
    without_end = Spread(mean_s=inf, quantiles_s=_NEVER)
    return replace(found, ttft_s=without_end, tpot_s=replace(found.tpot_s, quantiles_s=_NEVER))


def crossing(
    falls: Callable[[float], float],
    low: float,
    high: float,
    enough: Callable[[float, float], bool] = lambda low, high: high - low <= 1e-9 * high,
) -> tuple[float, float]:
    """Where a falling function passes zero: the last point found with f ≥ 0 and the first with f < 0.

    Regula falsi by Anderson and Björck (BIT 13, 1973): an end that stays counts for less, by how much the other one's
    value fell. Halving when three turns did not halve the bracket, and beside an infinite value. f(low) ≥ 0 is given.
    """
    at_low, at_high = falls(low), falls(high)
    if at_high >= 0:
        return high, high
    stayed, width = 0, high - low
    for turn in range(200):
        if enough(low, high):
            break
        share = 0.5 if at_high == -inf else at_low / (at_low - at_high)
        if turn % 3 == 2:
            share, width = (0.5 if high - low > width / 2 else share), high - low
        middle = low + (high - low) * min(max(share, 1e-10), 1 - 1e-10)
        if not low < middle < high:
            break
        at_middle = falls(middle)
        if at_middle >= 0:
            at_high *= _lessened(at_middle, at_low) if stayed > 0 else 1.0
            low, at_low, stayed = middle, at_middle, 1
        else:
            at_low *= _lessened(at_middle, at_high) if stayed < 0 else 1.0
            high, at_high, stayed = middle, at_middle, -1
    return low, high


def _lessened(now: float, before: float) -> float:
    """How much less the end that stayed twice counts, when the other end's value went from `before` to `now`."""
    kept = 1 - now / before if before and -inf < now else 0.0
    return kept if kept > 0 else 0.5
