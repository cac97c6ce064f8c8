"""What a demand means before any GPU is counted: requests a second at the peak, and how many are in flight.

In: Scenario, and the winner where there is one.    Out: Flow.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.planning.plan import Candidate
from infrascale.planning.scenario import Scenario
from infrascale.workload import in_flight


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """`in_flight_requests` = `request_per_s` · `stays_s` (Little's law)."""

    request_per_s: float
    stays_s: float
    in_flight_requests: float


def flow(scenario: Scenario, best: Candidate | None) -> Flow:
    """At the speed of the plan; at the promised speed where there is none. Headroom is left out."""
    promise, demand = scenario.promise, scenario.demand
    promised_s = promise.ttft_s + scenario.workload.osl_tokens / promise.token_per_s
    stays_s = best.performance.e2e_s.mean_s if best else promised_s
    requests = in_flight(demand, stays_s)
    return Flow(request_per_s=demand.request_per_s or requests / stays_s, stays_s=stays_s, in_flight_requests=requests)
