"""The verbs, from Python: plan, capacity, and the Scenario they take.

from infrascale import plan, Scenario
plan(model="llama-3.1-8b", gpu=["h100-sxm"], users=1000).best.gpus
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import all_gpus
from infrascale.parsing.scenarios import question, scenario
from infrascale.planning import Candidate, Plan, Scenario
from infrascale.planning import capacity as _capacity
from infrascale.planning import plan as _plan

if TYPE_CHECKING:
    from infrascale.certainty import Beyond, Certainty
    from infrascale.hardware import Efficiency


def ask(needs_demand: bool = True, **asked: Any) -> Scenario:
    """A Scenario from the keys of scenario.toml; raises InfraScaleError with what, why and fix."""
    for key in ("gpu", "precision", "gpus_per_replica"):
        if key in asked and asked[key] is not None and not isinstance(asked[key], list | tuple):
            asked[key] = [asked[key]]
    return scenario(question(asked), needs_demand=needs_demand)


def plan(asked: Scenario | None = None, *, solver: str = "exact", calibration: str | None = None, **keys: Any) -> Plan:
    """The fewest GPUs that keep the promise, proven, and why the other ways lost.

    `solver` "nelder-mead" searches instead, and says how far from the proven answer it stays. `calibration` names a
    file of `infrascale calibrate`: the plan then rests on your own load tests, for one GPU kind.
    """
    from infrascale.errors import ScenarioError

    if solver not in ("exact", "nelder-mead"):
        raise ScenarioError(f"unknown solver {solver[:30]!r}", why="there are two", fix="exact or nelder-mead")
    if solver == "nelder-mead" and find_spec("scipy") is None:
        raise ScenarioError("nelder-mead needs SciPy", why="it is not installed", fix="pip install 'infrascale[fit]'")
    asked = asked or ask(**keys)
    return _plan(asked, _curves(calibration, asked), solver, () if calibration else tuple(all_gpus()))


def capacity(
    gpus: int, asked: Scenario | None = None, *, calibration: str | None = None, **keys: Any
) -> list[tuple[Candidate, float]]:
    """What `gpus` cards serve within the promise: deployments with their most requests in flight, best first."""
    asked = asked or ask(needs_demand=False, **keys)
    return _capacity(asked, _curves(calibration, asked), gpus)


def _curves(calibration: str | None, asked: Scenario) -> Efficiency:
    """The general curves, or what a calibration file makes of them for the one GPU kind in question."""
    if calibration is None:
        return efficiency()
    from infrascale.calibration.saved import read_calibration
    from infrascale.errors import ScenarioError

    if len(asked.gpus) != 1:
        raise ScenarioError(
            f"a calibration for {len(asked.gpus)} GPU kinds", why="it was measured on one", fix="name one --gpu"
        )
    return read_calibration(calibration).efficiency(efficiency(), asked.gpus[0], asked.model)


def beyond(gpus: int, asked: Scenario, found: list[tuple[Candidate, float]]) -> Beyond | None:
    """How sure the best of `capacity` is, what breaks beyond it, and what twice as much needs; None: it serves none."""
    from infrascale.certainty import beyond as _beyond

    return _beyond(asked, *found[0], gpus, efficiency()) if found else None


def certainty(found: Plan) -> Certainty | None:
    """Between which numbers of GPUs the need lies with 90 % confidence, and the nearest evidence; None: infeasible."""
    from infrascale.certainty import certainty as _certainty

    return _certainty(found, efficiency())
