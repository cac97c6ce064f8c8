"""The exact solver: the fewest GPUs, proven by monotonicity and enumeration.

In: Judge (one deployment).    Out: its cheapest Candidate, or the Rejection that says why there is none.
Idea: the larger a replica's load, the slower it answers, so for each batch there is one largest load within the
promise, whatever the demand; the fewest replicas follow from it by Little's law. Their number is proven when the
bracket around that load leaves no other integer: at one replica fewer each would carry more than it can.

Batches are powers of two, and the largest that the cache and the engine allow. One larger than the whole load is that
same load. A smaller one queues, and carries at most b · (1 + promised TTFT / time of one request alone), or, where no
wait slows demand down, what a full one does: where even that needs more replicas, none below is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor

from infrascale.deployment import peak_kw
from infrascale.planning.evaluate import FULL, TOLERANCE, Judge, Outcome, crossing
from infrascale.planning.plan import Candidate, Constraint, Rejection
from infrascale.workload import in_flight


def batches(judge: Judge) -> list[int]:
    """Batches the engine may be given: powers of two up to max_num_seqs of all attention ranks, and that itself."""
    return _powers_up_to(judge.deployment.engine.max_num_seqs * judge.deployment.shard.dp)


def held_batches(judge: Judge) -> list[int]:
    """Those of them whose cache fits, and the most that fit."""
    held = judge.most_held()
    return _powers_up_to(held) if held else []


def _powers_up_to(most: int) -> list[int]:
    return [*(2**exponent for exponent in range((most - 1).bit_length())), most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The fewest replicas at one batch. `bracket` holds the most requests one replica bears within the promise."""

    replicas: int
    batch: int
    outcome: Outcome
    bracket: tuple[float, float]

    @property
    def requests(self) -> float:
        """In flight in one replica."""
        return self.outcome.load * self.batch


def fewest_replicas(judge: Judge, batch: int) -> Found | None:
    """The smallest N that keeps the promise with this batch, or None."""

    def spare(requests: float) -> float:
        return judge.ease(judge.performance(requests, batch)) + TOLERANCE

    def replicas(requests: float) -> int:
        return max(1, ceil(judge.replicas_for(requests, batch) * (1 - 1e-12)))

    if judge.memory_check(batch).slack_fraction < 0 or spare(judge.least) < 0:
        return None
    full = judge.full(batch)
    if spare(full) >= 0:
        low, high = full, judge.beyond(batch)
    elif full > 2 and spare(full / 2) >= 0:
        low, high = full / 2, full
    else:
        low, high = judge.least, full / 2 if full > 2 else full
    low, high = crossing(
        spare, low, high, lambda low, high: high - low <= 1e-13 * high or replicas(low) == replicas(high)
    )
    fewest = replicas(low)
    found = judge.outcome(fewest, batch, low)
    while not found.keeps:  # a rounding away
        fewest += 1
        found = judge.outcome(fewest, batch, low)
    return Found(replicas=fewest, batch=batch, outcome=found, bracket=(low, high))


def fewer_replicas(judge: Judge, batch: int, than: Found) -> Found | None:
    """With this batch: fewer replicas than found, or as many; None where that is not enough.

    Two loads tell: with one replica fewer the promise breaks, or there is something to look for.
    """
    if than.replicas > 1 and judge.outcome(than.replicas - 1, batch).keeps:
        return fewest_replicas(judge, batch)
    outcome = judge.outcome(than.replicas, batch)
    if not outcome.keeps:
        return None
    broken = judge.outcome(than.replicas - 1, batch).load * batch if than.replicas > 1 else judge.beyond(batch)
    return Found(replicas=than.replicas, batch=batch, outcome=outcome, bracket=(outcome.load * batch, broken))


def most_requests(judge: Judge, batch: int) -> float:
    """The most requests in flight in one replica with this batch within the promise, whole from one on; 0: none.

    Before a batch that is full on average a rate would only queue: one place is left.
    """

    def spare(requests: float) -> float:
        return judge.comfort(judge.performance(requests, batch)) + TOLERANCE

    if spare(judge.least) < 0:
        return 0.0
    least, most = judge.least, max(judge.least, judge.beyond(batch))
    low, _ = crossing(spare, least, most, lambda low, high: low >= 1 and floor(low) == floor(high))
    whole = floor(low) if low >= 1 else low
    return min(whole, batch - 1) if judge.never_queues and batch > 1 else whole


def solve(judge: Judge) -> Candidate | Rejection:
    """The cheapest N and B of one deployment, with its limits; or why it has none."""
    found = cheapest(judge)
    return candidate_of(judge, roomier(judge, found)) if found else rejection(judge)


def cheapest(judge: Judge, fewer_than: int | None = None) -> Found | None:
    """The cheapest N and B; equal N: the batch whose tightest promise has the most slack. None: no number would do.

    `fewer_than`: replicas; None too where as many or more are needed, and nothing is searched that one look rules out.
    """
    held = held_batches(judge)
    if not held or judge.comfort(judge.alone) < -TOLERANCE:
        return None
    alone_s = judge.alone.e2e_s.mean_s
    least = in_flight(judge.scenario.demand, alone_s) * (1 + judge.scenario.headroom_fraction)
    stretch = 1.0 if judge.never_queues else 1 + judge.scenario.promise.ttft_s / alone_s
    best: Found | None = None

    def order(found: Found) -> tuple[int, float, int]:
        return found.replicas, -round(judge.comfort(found.outcome.performance), 9), found.batch

    for batch in candidates(judge, held):
        known = best.replicas if best is not None else fewer_than
        if known is not None and least > known * judge.full(batch) * stretch:
            break
        if known is not None and judge.scenario.promise.is_of_shares and fewer_never(judge, batch, known):
            break
        if best is None and fewer_than is not None and not judge.outcome(fewer_than - 1, batch).keeps:
            continue
        if best is not None and best.replicas == 1 and batch > smallest_holding(judge, held, best.requests):
            continue  # holds the same requests as the last
        found = fewest_replicas(judge, batch) if best is None else fewer_replicas(judge, batch, best)
        if found is not None and (best is None or order(found) < order(best)):
            best = found
        if best is not None and judge.never_queues and not judge.scenario.promise.is_of_shares:
            break  # none queues, so a smaller batch changes nothing but whether it holds them
    return best


def gpus_below(judge: Judge, most: int | None) -> int | None:
    """GPUs that this deployment needs, spares included, where they are fewer than `most`; else None.

    Only the number is asked: a way that cannot have fewer is not searched, and nothing is said of what limits it.
    """
    size, spare = judge.deployment.shard.gpus, judge.scenario.redundancy
    if most is not None:
        allowed = (most - 1) // size - spare  # replicas
        if allowed < 1:
            return None
    found = cheapest(judge, None if most is None else allowed + 1)
    return (found.replicas + spare) * size if found else None


def roomier(judge: Judge, found: Found) -> Found:
    """The same replicas with the largest power of two that can be full within the promise, or the next above it.

    They hold the same requests; more users, or a busy hour, find places where a batch just large enough has none.
    A promise for a share of requests takes it in place of whatever the cache holds, where it keeps it: a larger one
    would let a crowd slow everybody.
    """
    held = held_batches(judge)
    if judge.scenario.promise.is_of_shares:
        return found if found.batch & (found.batch - 1) == 0 else _with_room(judge, found, held)
    batch = max((one for one in candidates(judge, held) if one & (one - 1) == 0), default=found.batch)
    if judge.never_queues:
        batch = max(batch, smallest_holding(judge, held, found.requests))
        beyond = judge.beyond(batch)
        bracket = (min(found.bracket[0], beyond), min(found.bracket[1], beyond))
        outcome = judge.outcome(found.replicas, batch)
        return Found(replicas=found.replicas, batch=batch, outcome=outcome, bracket=bracket)
    if batch <= found.batch:
        return found
    outcome = judge.outcome(found.replicas, batch)
    broken = judge.outcome(found.replicas - 1, batch).load * batch if found.replicas > 1 else judge.beyond(batch)
    bracket = (outcome.load * batch, max(outcome.load * batch, broken))
    roomy = Found(replicas=found.replicas, batch=batch, outcome=outcome, bracket=bracket)
    return roomy if outcome.keeps else found


def _with_room(judge: Judge, found: Found, held: list[int]) -> Found:
    promise = replace(judge.scenario.promise, speed_share=None, ttft_share=None)
    in_mean = replace(judge, scenario=replace(judge.scenario, promise=promise))
    batch = max((one for one in candidates(in_mean, held) if one & (one - 1) == 0), default=found.batch)
    outcome = judge.outcome(found.replicas, batch)
    if batch == found.batch or not outcome.keeps:
        return found
    requests = outcome.load * batch
    return Found(replicas=found.replicas, batch=batch, outcome=outcome, bracket=(requests, judge.beyond(batch)))


def fewer_never(judge: Judge, batch: int, replicas: int) -> bool:
    """Whether not even full batches, which random arrivals cannot keep, would do with fewer replicas.

    Smaller batches serve fewer requests a second, so neither would they.
    """
    return ceil(judge.replicas_for(batch, batch) * (1 - 1e-12)) >= replicas


def candidates(judge: Judge, held: list[int]) -> list[int]:
    """Batches worth a look, largest first: up to the first that cannot be full within the promise.

    A promise for a share of the requests leaves places free for the busy moments, so any batch may be best.
    """
    if judge.scenario.promise.is_of_shares:
        return list(reversed(held))
    low, high = 0, len(held) - 1
    while low < high:
        middle = (low + high) // 2
        full = judge.comfort(judge.performance(judge.full(held[middle]), held[middle])) >= -TOLERANCE
        low, high = (middle + 1, high) if full else (low, middle)
    return list(reversed(held[: low + 1]))


def smallest_holding(judge: Judge, of: list[int], requests: float) -> int:
    """The smallest of these batches that holds them all, or the largest there is."""
    return next((batch for batch in of if judge.full(batch) >= requests), of[-1])


def raised(judge: Judge, planned: Candidate, replicas: int) -> Candidate | Rejection:
    """The same way with more replicas than it was found to need."""
    batch = planned.max_batch
    outcome = judge.outcome(replicas, batch)
    requests = outcome.load * batch
    bracket = (requests, judge.beyond(batch))
    return candidate_of(judge, Found(replicas=replicas, batch=batch, outcome=outcome, bracket=bracket))


def beyond_limits(judge: Judge, gpus: int) -> Rejection | None:
    """Why so many GPUs may not be bought, or draw too much power; None: they may."""
    scenario = judge.scenario
    if scenario.most_gpus is not None and gpus > scenario.most_gpus:
        return Rejection(
            deployment=judge.deployment,
            constraint=Constraint.STOCK,
            needed=gpus,
            available=scenario.most_gpus,
            unit="gpus",
        )
    kw = peak_kw(judge.deployment.gpu, gpus)
    if scenario.most_kw is not None and kw > scenario.most_kw:
        return Rejection(
            deployment=judge.deployment, constraint=Constraint.POWER, needed=kw, available=scenario.most_kw, unit="kw"
        )
    return None


def candidate_of(judge: Judge, found: Found) -> Candidate | Rejection:
    """The point as a Candidate, or a Rejection when it needs more GPUs than may be bought, or more power."""
    scenario, outcome = judge.scenario, found.outcome
    refused = beyond_limits(judge, (found.replicas + scenario.redundancy) * judge.deployment.shard.gpus)
    if refused is not None:
        return refused
    memory, throughput, wait = outcome.checks
    capacity = judge.capacity_check(found.replicas, found.batch, found.requests, found.bracket)
    return Candidate(
        deployment=judge.deployment,
        replicas=found.replicas,
        spare_replicas=scenario.redundancy,
        max_batch=found.batch,
        load=outcome.load,
        performance=outcome.performance,
        memory=judge.memory,
        checks=(memory, throughput, capacity, wait),
        binds=binding(judge, found.replicas, found.batch, outcome),
    )


def binding(judge: Judge, replicas: int, batch: int, outcome: Outcome) -> Constraint:
    """What stops one replica fewer, at the batch that comes nearest; for a single replica, the least slack.

    A batch that would do but for its cache is stopped by memory. Where no batch the engine allows holds them all, and
    only the wait for a place breaks the promise, it is capacity.
    """
    if replicas > 1:
        every = batches(judge)
        holding = smallest_holding(judge, every, judge.requests_per_replica(replicas - 1, batch))
        tried = {batch, smallest_holding(judge, every, judge.full(batch) * (1 + FULL)), holding}
        fewer = [(judge.outcome(replicas - 1, one), one) for one in sorted(tried)]
        outcome, batch = max(fewer, key=lambda one: round(judge.comfort(one[0].performance), 6))  # alike: the smaller
    tightest = min(outcome.checks, key=lambda check: check.slack_fraction).constraint
    requests = outcome.load * batch
    if tightest is Constraint.WAIT and requests > judge.full(batch) and replicas > 1:
        unqueued = min(requests, batch)
        if judge.comfort(judge.performance(unqueued, batches(judge)[-1])) >= 0:
            return Constraint.CAPACITY
    return tightest


def rejection(judge: Judge) -> Rejection:
    """What stops even a single request on an idle replica, and the best value there is."""

    def refused(constraint: Constraint, needed: float, available: float, unit: str) -> Rejection:
        return Rejection(
            deployment=judge.deployment, constraint=constraint, needed=needed, available=available, unit=unit
        )

    memory = judge.memory_check(1)
    if memory.slack_fraction < 0:
        return refused(Constraint.MEMORY, memory.needed, memory.available, "bytes")
    promise, found = judge.scenario.promise, judge.alone
    speed, ttft_s = 1 / promise.tpot_of(found), promise.ttft_of(found)
    if ttft_s / promise.ttft_s >= promise.token_per_s / speed:
        return refused(Constraint.WAIT, promise.ttft_s, ttft_s, "s")
    return refused(Constraint.THROUGHPUT, promise.token_per_s, speed, "token_per_s")
