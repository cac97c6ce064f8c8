"""The original formulation's solver, done as its name says: SciPy's Nelder-Mead on the relaxed problem.

For each deployment, replicas and batch become real numbers, broken constraints a penalty, several starts are tried,
and the best point is rounded and repaired until it keeps the promise. It proves nothing: `Plan.excess_fraction` tells
how far above the exact answer it stays.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import batches, candidate_of, fewest_replicas, rejection
from infrascale.planning.plan import Candidate, Rejection

STARTS = ((0.0, 2.0), (0.0, 6.0), (3.0, 4.0), (6.0, 8.0), (10.0, 6.0))
PENALTY = 50.0


def solve(judge: Judge) -> Candidate | Rejection:
    """A good N and B of one deployment, not proven best; needs SciPy."""
    from scipy.optimize import minimize

    every = batches(judge)
    most = log2(every[-1])

    def cost(point: tuple[float, float]) -> float:
        replicas, exponent = 2 ** min(40.0, max(0.0, point[0])), min(most, max(0.0, point[1]))
        checks = judge.outcome(replicas, 2**exponent).checks
        broken = sum(max(0.0, -check.slack_fraction) for check in checks)
        outside = abs(point[0] - min(40.0, max(0.0, point[0]))) + abs(point[1] - exponent)
        return max(0.0, point[0]) + PENALTY * (min(broken, 1e6) + outside)

    options = {"maxiter": 200, "xatol": 1e-3, "fatol": 1e-3}
    found = min((minimize(cost, start, method="Nelder-Mead", options=options) for start in STARTS), key=lambda r: r.fun)
    replicas = max(1, ceil(2 ** min(40.0, max(0.0, found.x[0])) - 1e-6))
    nearest = min(range(len(every)), key=lambda i: abs(log2(every[i]) - found.x[1]))
    around = every[max(0, nearest - 1) : nearest + 2]
    fewest = [found for batch in around if (found := fewest_replicas(judge, batch))]
    if not fewest:
        return rejection(judge)
    kept = [found for found in fewest if found.replicas <= replicas]
    if not kept:  # repair: the fewest replicas at the batches around the point
        return candidate_of(judge, min(fewest, key=lambda found: found.replicas))
    last = kept[-1]
    outcome = judge.outcome(replicas, last.batch)
    return candidate_of(judge, replace(last, replicas=replicas, outcome=outcome))
