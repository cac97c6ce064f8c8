"""`simulate` for strangers: the plan of a question under traffic, with the work and the memory of it bounded.

In: a question and the keys of [traffic] that name no file.    Out: what `infrascale simulate --json` prints.
One simulation runs at a time, on all cores; the others wait their turn. Needs `infrascale[simulate]`.
"""

from __future__ import annotations

from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from infrascale.api import curves
from infrascale.errors import ScenarioError
from infrascale.parsing.scenarios import scenario
from infrascale.parsing.traffic import Asked as AskedOfFiles
from infrascale.parsing.traffic import circumstances
from infrascale.planning import plan
from infrascale.screen import plan_json
from infrascale.server.verbs import Asked, resolved, taught

if TYPE_CHECKING:
    from infrascale.simulating.run import Subject

MOST_REQUESTS = 100_000
MOST_SEQS = 4096
MOST_TOKENS = 1 << 17
#: Of all replicas together: sequences, and tokens of the longest request.
MOST_SEATS = 200_000
MOST_LENGTHS = 20_000_000
MOST_SECONDS = 86_400.0

Word = Annotated[str, Field(max_length=40)]
_TURN = Lock()


class Traffic(AskedOfFiles):
    """The keys of [traffic] that name no file."""

    hours: Word | None = None
    weights: list[Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]] = Field(default=[], max_length=168)
    start: Word | None = None
    flash: list[Word] = Field(default=[], max_length=8)
    clients: Annotated[int, Field(ge=1, le=10_000)] | None = None
    usage: None = None
    lengths_from: None = None
    replay: None = None
    policy: Word = "round-robin"
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    prefill_replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    seconds: Annotated[float, Field(ge=1, le=MOST_SECONDS, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, le=1 << 32)] = 1
    dies: list[Word] = Field(default=[], max_length=8)
    late: Word | None = None
    autoscale: Word | None = None
    speculative: Word | None = None


class AskedSimulation(Asked):
    """A question, and the traffic that its plan is put under."""

    traffic: Traffic = Field(default_factory=Traffic)


def simulate(asked: AskedSimulation) -> dict[str, Any]:
    """What the users of the plan feel, as `infrascale simulate --json`; an infeasible plan is the answer itself."""
    if find_spec("numba") is None:
        raise ScenarioError(
            "this service does not simulate", why="numba is not installed", fix="pip install 'infrascale[simulate]'"
        )
    from infrascale.screen.simulation import simulation_json
    from infrascale.simulating.failures import fates
    from infrascale.simulating.run import Subject
    from infrascale.simulating.run import simulate as simulated

    told = circumstances(asked.traffic)
    held, model = resolved(asked)
    question = scenario(held, given=model)
    law = curves(taught(asked.calibration), question)
    found = plan(question, law)
    if found.best is None:
        return {"feasible": False, "plan": plan_json(found)}
    subject = Subject(scenario=question, candidate=found.best, efficiency=law, circumstances=told)
    _bounded(subject)
    with _TURN:
        result = simulated(subject)
        dying = fates(subject, result) if told.deaths else None
    return {"feasible": True, **simulation_json(result, dying)}


def _bounded(subject: Subject) -> None:
    """Refuse what would take more than some seconds, or more than some hundred megabytes."""
    told, load, best = subject.circumstances, subject.scenario.workload, subject.candidate
    replicas = (told.replicas or subject.planned_replicas) + (told.prefill_replicas or 0)
    crowd = max([1.0, *(flash.times for flash in told.pattern.flashes)])
    peak = max(subject.request_per_s, best.performance.request_per_s * replicas if told.pattern.clients else 0.0)
    longest = min(subject.scenario.knobs.max_model_len or subject.scenario.model.max_model_len, MOST_TOKENS * 100)
    bounds = (
        ("requests", peak * crowd * sum(subject.spans_s()), MOST_REQUESTS, "fewer seconds, or a lower rate"),
        ("sequences at once in a replica", best.max_batch, MOST_SEQS, "a smaller max_num_seqs"),
        ("tokens of a request", load.isl_tokens + load.osl_tokens, MOST_TOKENS, "shorter requests"),
        ("sequences at once in all replicas", best.max_batch * replicas, MOST_SEATS, "a lower rate"),
        ("tokens of the longest requests, over replicas", longest * replicas, MOST_LENGTHS, "a shorter max_model_len"),
    )
    for what, wanted, most, fix in bounds:
        if wanted > most:
            raise ScenarioError(
                f"{wanted:,.3g} {what} are too many to simulate here",
                why=f"at most {most:,} are served",
                fix=f"ask for {fix}, or run infrascale simulate yourself",
            )
