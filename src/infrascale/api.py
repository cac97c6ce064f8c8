"""The verbs, from Python: plan, capacity, and the Scenario they take.

from infrascale import plan, Scenario
plan(model="llama-3.1-8b", gpu=["h100-sxm"], users=1000).best.gpus
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import offered
from infrascale.parsing.objectives import preferred
from infrascale.parsing.scenarios import question, scenario
from infrascale.planning import Candidate, Judged, Plan, Scenario
from infrascale.planning import capacity as _capacity
from infrascale.planning import plan as _plan
from infrascale.planning.evaluate import Judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from infrascale.calibration.own import Calibration
    from infrascale.certainty import Beyond, Certainty, Rest
    from infrascale.hardware import Efficiency
    from infrascale.report.levers import Lever
    from infrascale.simulating.circumstances import Circumstances
    from infrascale.simulating.run import Simulation, Subject
    from infrascale.simulating.verify import Verdict
    from infrascale.uncertainty import Intervals


def ask(needs_demand: bool = True, **asked: Any) -> Scenario:
    """A Scenario from the keys of scenario.toml; raises InfraScaleError with what, why and fix."""
    return scenario(question(asked), needs_demand=needs_demand)


def plan(
    asked: Scenario | None = None, *, solver: str = "exact", calibration: str | Calibration | None = None,
    judged: Judged = Judge, **keys: Any,
) -> Plan:  # fmt: skip
    """The fewest GPUs that keep the promise, proven, and why the other ways lost.

    `solver` "nelder-mead" searches instead, and says how far from the proven answer it stays. `calibration`, or the
    name of its file: what `infrascale calibrate` found; the plan then rests on your own load tests, for one GPU kind.
    `judged`: a `Judges()` keeps step times and quantiles for the next question, and for `certainty`.
    """
    from infrascale.errors import ScenarioError

    if solver not in ("exact", "nelder-mead"):
        raise ScenarioError(f"unknown solver {solver[:30]!r}", why="there are two", fix="exact or nelder-mead")
    if solver == "nelder-mead" and find_spec("scipy") is None:
        raise ScenarioError("nelder-mead needs SciPy", why="it is not installed", fix="pip install 'infrascale[fit]'")
    asked_for = None if asked else question(keys)
    scene = asked or scenario(asked_for)  # type: ignore[arg-type]
    law = curves(calibration, scene)
    found = _plan(scene, law, solver, () if calibration else offered(), judged)
    return preferred(found, asked_for, law) if asked_for else found


def levers(found: Plan, *, calibration: str | Calibration | None = None, **keys: Any) -> list[Lever]:
    """The single changes of the question `keys` that save GPUs of the plan found, each proven by a plan of its own."""
    from infrascale.report.levers import levers as _levers

    return _levers(found, question(keys), curves(calibration, found.scenario))


def capacity(
    gpus: int, asked: Scenario | None = None, *, calibration: str | Calibration | None = None, **keys: Any
) -> list[tuple[Candidate, float]]:
    """What `gpus` cards serve within the promise: deployments with their most requests in flight, best first."""
    asked = asked or ask(needs_demand=False, **keys)
    return _capacity(asked, curves(calibration, asked), gpus)


def curves(calibration: str | Calibration | None, asked: Scenario) -> Efficiency:
    """The general curves, or what a calibration file makes of them for the one GPU kind in question."""
    if calibration is None:
        return efficiency()
    from infrascale.errors import ScenarioError

    if len(asked.gpus) != 1:
        raise ScenarioError(
            f"a calibration for {len(asked.gpus)} GPU kinds", why="it was measured on one", fix="name one --gpu"
        )
    return _read(calibration).efficiency(efficiency(), asked.gpus[0], asked.model, asked.knobs.engine)


def _read(calibration: str | Calibration) -> Calibration:
    """A calibration, or the one that a file holds."""
    from infrascale.calibration.saved import read_calibration

    return read_calibration(calibration) if isinstance(calibration, str) else calibration


def _own(calibration: str | Calibration | None, asked: Scenario, best: Candidate | None) -> Intervals | None:
    """The intervals of a calibration at the planned load; None: the shipped ones."""
    if calibration is None or best is None:
        return None
    from infrascale.calibration.planned import intervals_of

    return intervals_of(_read(calibration), asked, best, efficiency())


def rest(calibration: str | Calibration, asked: Scenario, best: Candidate | None) -> Rest:
    """What an answer owes to a calibration, and how far its question lies from what was measured."""
    from infrascale.calibration.planned import rest_of

    return rest_of(_read(calibration), asked, best)


def beyond(
    gpus: int, asked: Scenario, found: list[tuple[Candidate, float]], *, calibration: str | Calibration | None = None
) -> Beyond | None:
    """How sure the best of `capacity` is, what breaks beyond it, and what twice as much needs; None: it serves none."""
    from infrascale.certainty import beyond as _beyond

    if not found:
        return None
    own = _own(calibration, asked, found[0][0])
    return _beyond(asked, *found[0], gpus, curves(calibration, asked), own)


def verify(
    found: Plan,
    circumstances: Circumstances | None = None,
    *,
    calibration: str | Calibration | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Plan, tuple[Verdict, ...]]:
    """The plan with its short list simulated, and N raised where the tail breaks the promise. Needs `simulate`."""
    from infrascale.simulating.verify import verify as _verify

    return _verify(found, curves(calibration, found.scenario), circumstances, progress)


def simulate(
    found: Plan,
    circumstances: Circumstances | None = None,
    *,
    calibration: str | Calibration | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Simulation:
    """What the users of the plan's best way feel, request by request. Needs `simulate`."""
    from infrascale.simulating.run import simulate as _simulate

    return _simulate(subject(found, circumstances, calibration=calibration), progress)


def subject(
    found: Plan, circumstances: Circumstances | None = None, *, calibration: str | Calibration | None = None
) -> Subject:
    """The plan's best way, ready to be simulated."""
    from infrascale.errors import ScenarioError
    from infrascale.simulating.circumstances import Circumstances
    from infrascale.simulating.run import Subject

    if found.best is None:
        raise ScenarioError(
            "there is nothing to simulate", why="the plan is infeasible", fix="infrascale plan says why"
        )
    return Subject(
        scenario=found.scenario,
        candidate=found.best,
        efficiency=curves(calibration, found.scenario),
        circumstances=circumstances or Circumstances(),
    )


def certainty(
    found: Plan, *, calibration: str | Calibration | None = None, judged: Judged | None = None
) -> Certainty | None:
    """Between which numbers of GPUs the need lies with 90 % confidence, and the nearest evidence; None: infeasible.

    `judged`: the one that the plan was made with.
    """
    from infrascale.certainty import certainty as _certainty

    own = _own(calibration, found.scenario, found.best)
    return _certainty(found, curves(calibration, found.scenario), own, judged)
