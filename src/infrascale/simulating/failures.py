"""What users feel when replicas die, and what one more replica buys: the same traffic three times.

In: Subject with deaths.    Out: Fates: nobody dies, they die, they die and there is one replica more; judged over the
time that they are missed. Beside them the analytic transient of a replica that takes over its share of the load.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from infrascale.serving.simulation.outcome import Outcome, outcome
from infrascale.serving.transient import Instant, Spell
from infrascale.serving.transient import course as transient
from infrascale.simulating.run import Progress, Simulation, Subject, replica_of, simulate

#: How long after the death is judged at least, and at most when nobody comes back.
LEAST_S, MOST_S = 300.0, 1800.0
#: States beyond which the analytic transient would take longer than the simulation.
MOST_STATES = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    code: str  # calm, dies, spare
    replicas: int
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """`transient`: a surviving replica by the analytic queue, from the death on; empty where it does not apply."""

    from_s: float
    until_s: float
    fates: tuple[Fate, ...]
    transient: tuple[Instant, ...]


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
    return Fates(from_s=from_s, until_s=until_s, fates=tuple(rows), transient=_transient(subject, found, replicas))


def _transient(subject: Subject, found: Simulation, replicas: int) -> tuple[Instant, ...]:
    """One replica while another's share comes on top, for one death in steady traffic at a rate."""
    deaths, pattern = subject.circumstances.deaths, subject.circumstances.pattern
    closed = pattern.clients or subject.scenario.demand.users is not None
    if len(deaths) != 1 or replicas < 2 or not pattern.is_steady or closed:
        return ()
    replica, rate = replica_of(subject), subject.request_per_s
    end_s = found.fill_s + found.span_s
    gone_s = min(deaths[0].back_after_s or MOST_S, end_s - deaths[0].at_s, MOST_S)
    usual, more = rate / replicas, rate / (replicas - 1)
    if usual >= replica.most_request_per_s or (more - replica.most_request_per_s) * gone_s > MOST_STATES:
        return ()
    spells = [Spell(seconds=1.0, request_per_s=usual), Spell(seconds=gone_s, request_per_s=more)]
    if deaths[0].back_after_s is not None:
        spells.append(Spell(seconds=max(60.0, gone_s), request_per_s=usual))
    return tuple(transient(replica, spells, every_s=max(1.0, gone_s / 40)))
