"""A calibration met by a plan: the plan's own load as a question, how sure its answer is, and what it rests on.

In: Calibration, Scenario, Candidate.    Out: Asked, Intervals, Rest; of several, the curves of the nearest kin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp

from infrascale.calibration.own import KINSHIP, Calibration
from infrascale.certainty import Rest
from infrascale.deployment import Deployment
from infrascale.hardware import Efficiency
from infrascale.parsing.measurements import Asked
from infrascale.planning import Candidate, Scenario
from infrascale.serving import Waves
from infrascale.uncertainty import Intervals
from infrascale.workload import Workload


def asked_at(
    best: Candidate,
    workload: Workload,
    *,
    concurrency: float | None = None,
    request_per_s: float | None = None,
    waves: float | None = None,
    one_length: bool = False,
) -> Asked:
    """A load on the planned replicas, started as planned: so many in flight over all, or a rate."""
    engine = replace(best.deployment.engine, max_num_seqs=max(1, round(best.max_batch / best.deployment.shard.dp)))
    return Asked(
        deployment=replace(best.deployment, engine=engine),
        workload=workload,
        load_kind="open" if request_per_s else "closed",
        concurrency=concurrency,
        request_per_s=request_per_s,
        replicas=best.replicas,
        requests=None,
        arrival_scv=1.0,
        waves=Waves(count=max(1.0, waves), one_length=one_length) if waves else Waves(),
        assumed="",
    )


def nearest_curves(own: Sequence[Calibration], deployment: Deployment, general: Efficiency) -> Efficiency:
    """The general curves as corrected by the load tests of this deployment's nearest kin."""
    of = deployment.gpu, deployment.model, deployment.engine.name, deployment.shard.gpus
    kin = max(own, key=lambda one: KINSHIP[one.kinship(*of)], default=None)
    return kin.efficiency(general, *of) if kin else general


def planned_load(scenario: Scenario, best: Candidate) -> Asked:
    """The load that the plan is for."""
    return asked_at(best, scenario.workload, concurrency=max(1.0, best.load * best.max_batch * best.replicas))


def intervals_of(found: Calibration, scenario: Scenario, best: Candidate, general: Efficiency) -> Intervals:
    """The plan's 90 % intervals after these load tests."""
    return found.intervals(planned_load(scenario, best), general)


def rest_of(found: Calibration, scenario: Scenario, best: Candidate | None) -> Rest:
    asked = {"isl": scenario.workload.isl_tokens, "osl": scenario.workload.osl_tokens}
    if best is not None:
        asked["concurrency"] = max(1.0, best.load * best.max_batch)
    of = best.deployment if best else None
    gpu = of.gpu if of else scenario.gpus[0]
    return Rest(
        points=found.points,
        model=found.model,
        gpu=found.gpu,
        kinship=found.kinship(gpu, scenario.model, scenario.knobs.engine, of.shard.gpus if of else None),
        outside=exp(found.outside(**asked)),
    )
