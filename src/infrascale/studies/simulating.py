"""A plan under random traffic, request by request: what `infrascale simulate` and the app's day are made of.

In: Scenario, the Candidate that serves it, what to draw.    Out: Requests, one replica as the simulator takes it,
Records and their Outcome.    Needs NumPy and Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infrascale.errors import ScenarioError
from infrascale.parsing.efficiencies import efficiency
from infrascale.planning.evaluate import Judge

if TYPE_CHECKING:
    import numpy as np

    from infrascale.deployment import PhysicsTimer
    from infrascale.planning import Candidate, Scenario
    from infrascale.serving.simulation.fleet import Records, Requests
    from infrascale.serving.simulation.outcome import Outcome
    from infrascale.serving.simulation.request import Settings
    from infrascale.serving.simulation.steptable import StepTable

#: Filling up, before requests count, and the least span that does, in mean answers.
FILL_ANSWERS, SPAN_ANSWERS = 3, 30
MOMENTS = 400
MOST_REQUESTS = 20_000_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a simulation is asked beyond its scenario. `isl_cv`, `osl_cv`: spread of the lengths over their means."""

    replicas: int | None
    seconds: float | None
    seed: int
    burstiness: float
    isl_cv: float
    osl_cv: float
    policy: str


def run(
    scenario: Scenario, best: Candidate, asked: Asked, progress: Progress | None = None
) -> tuple[Records, Outcome, int, float]:
    """The planned replicas, or as many as asked, under the scenario's traffic. Replicas and span with the result."""
    import numpy as np

    from infrascale.serving.simulation.fleet import Fleet, simulate_fleet
    from infrascale.serving.simulation.outcome import outcome

    size = asked.replicas or best.replicas
    answer_s = best.performance.e2e_s.mean_s
    span = asked.seconds or max(600.0, SPAN_ANSWERS * answer_s)
    fill = FILL_ANSWERS * answer_s
    requests = traffic(scenario, best, asked, fill + span)
    table, settings = replica_of(scenario, best, requests)
    records = simulate_fleet(
        requests,
        table,
        settings,
        Fleet(replicas=size, policy=asked.policy),
        moments_s=np.linspace(fill, fill + span, MOMENTS),
        progress=progress,
    )
    promise = scenario.promise
    result = outcome(records, size, fill, fill + span, ttft_s=promise.ttft_s, token_per_s=promise.token_per_s)
    return records, result, size, span


def planned_request_per_s(scenario: Scenario, best: Candidate) -> float:
    """Requests a second at the planned peak: as asked, or as many as the planned requests in flight make."""
    return scenario.demand.request_per_s or best.performance.request_per_s * best.replicas


def timer_of(scenario: Scenario, best: Candidate) -> PhysicsTimer:
    return Judge(scenario=scenario, deployment=best.deployment, efficiency=efficiency()).timer


def replica_of(scenario: Scenario, best: Candidate, requests: Requests) -> tuple[StepTable, Settings]:
    """Step times and knobs of one planned replica, for requests as long as these."""
    from infrascale.serving.simulation.deployed import settings_of, table_of

    longest = int((requests.isl_tokens + requests.osl_tokens).max())
    settings = settings_of(best.deployment, best.max_batch, longest)
    return table_of(best.deployment, timer_of(scenario, best), settings, longest), settings


def traffic(scenario: Scenario, best: Candidate, asked: Asked, seconds: float) -> Requests:
    """Requests at the scenario's rate, or its users who think between theirs, from the seed."""
    import numpy as np

    from infrascale.workload.arrivals import arrival_times

    rng, demand = np.random.default_rng(asked.seed), scenario.demand
    rate = planned_request_per_s(scenario, best)
    if rate * seconds > MOST_REQUESTS:
        raise ScenarioError(
            f"{rate * seconds:.3g} requests are too many", why=f"at most {MOST_REQUESTS:,}", fix="give fewer --seconds"
        )
    follows, think = np.empty(0, dtype=np.int64), np.empty(0)
    if demand.users is not None and demand.think_s is not None:
        users = round(demand.users)
        each = int(seconds / (demand.think_s + 0.5 * best.performance.e2e_s.mean_s)) + 2
        arrivals = np.repeat(rng.random(users) * (demand.think_s + best.performance.e2e_s.mean_s), each)
        follows = np.where(np.arange(users * each) % each == each - 1, -1, np.arange(1, users * each + 1))
        think = rng.exponential(demand.think_s, users * each)
    else:
        arrivals = arrival_times(rate, seconds, rng, cv=asked.burstiness)
    return requests_at(arrivals, scenario, best, rng, asked.isl_cv, asked.osl_cv, follows, think)


def requests_at(
    arrivals: np.ndarray, scenario: Scenario, best: Candidate, rng: np.random.Generator,
    isl_cv: float, osl_cv: float, follows: np.ndarray | None = None, think: np.ndarray | None = None,
) -> Requests:  # fmt: skip
    """Requests of the scenario's lengths that arrive then, with the time the engine's front end takes."""
    import numpy as np

    from infrascale.serving.simulation.fleet import Requests
    from infrascale.workload.lengths import Lengths

    load, host, most = scenario.workload, timer_of(scenario, best).host, scenario.model.max_model_len
    isl = Lengths(mean_tokens=load.isl_tokens, cv=isl_cv, most_tokens=most // 2).draw(len(arrivals), rng)
    osl = Lengths(mean_tokens=load.osl_tokens, cv=osl_cv, most_tokens=most // 2).draw(len(arrivals), rng)
    shared = load.prefix_hit_fraction > 0
    return Requests(
        arrival_s=arrivals,
        isl_tokens=isl,
        osl_tokens=osl,
        prefix=np.zeros(len(arrivals), dtype=np.int64) if shared else np.empty(0, dtype=np.int64),
        prefix_tokens=(isl * load.prefix_hit_fraction).astype(np.int64) if shared else np.empty(0, dtype=np.int64),
        follows=np.empty(0, dtype=np.int64) if follows is None else follows,
        think_s=np.empty(0) if think is None else think,
        delay_s=host.request_s + host.prompt_token_s * isl,
    )
