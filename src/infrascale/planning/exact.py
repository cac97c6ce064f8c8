"""The exact solver: the fewest GPUs, proven by monotonicity and enumeration.

For a deployment and a batch 2^B, more replicas mean fewer requests in each, so every constraint only gets easier:
the smallest N is found by bisection. B and the deployments are few and all are looked at. A replica that cannot
keep the promise with one request in flight never can.
"""

from __future__ import annotations

from collections.abc import Iterator

from infrascale.planning.evaluate import Judge, Outcome
from infrascale.planning.plan import Candidate, Constraint, Rejection

MOST_REPLICAS = 1 << 40


def exponents(judge: Judge) -> Iterator[int]:
    """Batches the engine may be given: powers of two up to max_num_seqs of all attention ranks."""
    most = judge.deployment.engine.max_num_seqs * judge.deployment.shard.dp
    exponent = 0
    while 2**exponent <= most:
        yield exponent
        exponent += 1


def fewest_replicas(judge: Judge, exponent: int, most: int = MOST_REPLICAS) -> tuple[int, Outcome] | None:
    """The smallest N that keeps the promise with batch 2^B, or None."""
    if judge.memory_check(exponent).slack_fraction < 0:
        return None
    high, found = 1, judge.outcome(1, exponent)
    if found.keeps:
        return 1, found
    low = 1
    while not found.keeps:
        if high >= most or judge.requests_per_replica(high, exponent) <= 1:
            return None
        low, high = high, min(high * 4, most)
        found = judge.outcome(high, exponent)
    while high - low > 1:
        middle = (low + high) // 2
        trial = judge.outcome(middle, exponent)
        if trial.keeps:
            high, found = middle, trial
        else:
            low = middle
    return high, found


def solve(judge: Judge) -> Candidate | Rejection:
    """The cheapest N and B of one deployment; equal N: the batch whose tightest promise has the most slack."""
    best: tuple[int, int, Outcome] | None = None
    for exponent in exponents(judge):
        found = fewest_replicas(judge, exponent)
        if found is None:
            continue
        if best is None or (found[0], -_comfort(found[1])) < (best[0], -_comfort(best[2])):
            best = (found[0], exponent, found[1])
    if best is None:
        return rejection(judge)
    return candidate_of(judge, *best)


def candidate_of(judge: Judge, replicas: int, exponent: int, outcome: Outcome) -> Candidate | Rejection:
    """The point as a Candidate, or a Rejection when it needs more GPUs than may be bought."""
    scenario = judge.scenario
    candidate = Candidate(
        deployment=judge.deployment,
        replicas=replicas,
        spare_replicas=scenario.redundancy,
        batch_exponent=exponent,
        load=outcome.load,
        performance=outcome.performance,
        memory=judge.memory,
        checks=outcome.checks,
        binds=binding(judge, replicas, outcome),
    )
    if scenario.most_gpus is not None and candidate.gpus > scenario.most_gpus:
        return Rejection(
            deployment=judge.deployment,
            constraint=Constraint.STOCK,
            needed=candidate.gpus,
            available=scenario.most_gpus,
            unit="gpus",
        )
    return candidate


def binding(judge: Judge, replicas: int, outcome: Outcome) -> Constraint:
    """What stops one replica fewer, at the batch that comes nearest; for a single replica, the least slack.

    A batch that would do but for its cache is stopped by memory.
    """
    if replicas > 1:
        fewer = [judge.outcome(replicas - 1, exponent) for exponent in exponents(judge)]
        nearest = max(fewer, key=_comfort)
        return min(nearest.checks, key=lambda check: check.slack_fraction).constraint
    promised = [check for check in outcome.checks if check.constraint is not Constraint.CAPACITY]
    return min(promised, key=lambda check: check.slack_fraction).constraint


def _comfort(outcome: Outcome) -> float:
    """Slack of the tightest promise made to users."""
    promised = (Constraint.THROUGHPUT, Constraint.WAIT)
    return min(check.slack_fraction for check in outcome.checks if check.constraint in promised)


def rejection(judge: Judge) -> Rejection:
    """What stops even a single request on an idle replica, and the best value there is."""
    first = judge.memory_check(0)
    if first.slack_fraction < 0:
        broken = first
    else:
        checks = judge.outcome(MOST_REPLICAS, 0).checks
        broken = min(checks, key=lambda check: check.slack_fraction)
    lower_is_better = broken.constraint is Constraint.WAIT
    return Rejection(
        deployment=judge.deployment,
        constraint=broken.constraint,
        needed=broken.available if lower_is_better else broken.needed,
        available=broken.needed if lower_is_better else broken.available,
        unit=broken.unit,
    )
