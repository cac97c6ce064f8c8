"""The verbs, from Python: plan, capacity, and the Scenario they take.

from infrascale import plan, Scenario
plan(model="llama-3.1-8b", gpu=["h100-sxm"], users=1000).best.gpus
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import all_gpus
from infrascale.parsing.objectives import preferred
from infrascale.parsing.scenarios import Question, question, scenario
from infrascale.planning import Candidate, Plan, Scenario
from infrascale.planning import capacity as _capacity
from infrascale.planning import plan as _plan

if TYPE_CHECKING:
    from infrascale.certainty import Beyond, Certainty
    from infrascale.hardware import Efficiency


def ask(needs_demand: bool = True, **asked: Any) -> Scenario:
    """A Scenario from the keys of scenario.toml; raises InfraScaleError with what, why and fix."""
    return scenario(_question(asked), needs_demand=needs_demand)


def _question(asked: dict[str, Any]) -> Question:
    """The keys as a Question; a list may be given as its one element."""
    lists = ("gpu", "precision", "gpus_per_replica", "price")
    single = {k: [v] for k, v in asked.items() if k in lists and v is not None and not isinstance(v, list | tuple)}
    return question(asked | single)


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
    asked_for = None if asked else _question(keys)
    scene = asked or scenario(asked_for)  # type: ignore[arg-type]
    law = curves(calibration, scene)
    found = _plan(scene, law, solver, () if calibration else tuple(all_gpus()))
    return preferred(found, asked_for, law) if asked_for else found


def capacity(
    gpus: int, asked: Scenario | None = None, *, calibration: str | None = None, **keys: Any
) -> list[tuple[Candidate, float]]:
    """What `gpus` cards serve within the promise: deployments with their most requests in flight, best first."""
    asked = asked or ask(needs_demand=False, **keys)
    return _capacity(asked, curves(calibration, asked), gpus)


def curves(calibration: str | None, asked: Scenario) -> Efficiency:
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
