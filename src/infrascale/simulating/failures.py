"""What users feel when replicas die, and what one more replica buys: the same traffic three times.

In: Subject with deaths.    Out: Fates: nobody dies, they die, they die and there is one replica more; judged over the
time that they are missed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from infrascale.serving.simulation.outcome import Outcome, outcome
from infrascale.simulating.run import Progress, Simulation, Subject, simulate

#: How long after the death is judged at least, and at most when nobody comes back.
LEAST_S, MOST_S = 300.0, 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    code: str  # calm, dies, spare
    replicas: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """Judged over [from_s, until_s)."""

    from_s: float
    until_s: float
    fates: tuple[Fate, ...]


def fates(subject: Subject, found: Simulation, progress: Progress = None) -> Fates:
    """`found`: the simulation with the deaths, already made."""
    told, deaths = subject.circumstances, subject.circumstances.deaths
    from_s = min(death.at_s for death in deaths)
    end_s = found.fill_s + found.span_s
    backs = [death.at_s + (death.back_after_s if death.back_after_s is not None else MOST_S) for death in deaths]
    until_s = min(end_s, max(max(backs), from_s + LEAST_S))
    replicas = told.replicas or subject.planned_replicas
    cases = (("calm", replicas, ()), ("dies", replicas, deaths), ("spare", replicas + 1, deaths))
    rows = []
    for code, count, dying in cases:
        if code == "dies":
            records = found.records
        else:
            case = replace(subject, circumstances=replace(told, replicas=count, deaths=dying, seconds=found.span_s))
            records = simulate(case, progress).records
        promise = subject.scenario.promise
        judged = outcome(records, count, from_s, until_s, ttft_s=promise.ttft_s, token_per_s=promise.token_per_s)
        rows.append(Fate(code=code, replicas=count, outcome=judged))
    return Fates(from_s=from_s, until_s=until_s, fates=tuple(rows))
