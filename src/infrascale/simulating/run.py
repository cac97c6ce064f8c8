"""A candidate of a plan under traffic: requests drawn, replicas simulated, and the analytic queue's answer beside it.

In: Scenario, Candidate, Efficiency, Circumstances.    Out: Simulation.
Requests count once the replicas have filled: after three mean answers, or three conversations. Needs NumPy and Numba.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from infrascale.deployment import PhysicsTimer, cache_bytes_per_request
from infrascale.errors import ScenarioError
from infrascale.hardware import BETWEEN_SERVERS, Efficiency
from infrascale.planning import Candidate, Scenario
from infrascale.planning.evaluate import Judge
from infrascale.serving import Performance, Saturated, limits_of, steps_until_seen
from infrascale.serving.queueing import FRONT_S, Replica
from infrascale.serving.routing import ROUTERS, Arrivals, at_random
from infrascale.serving.simulation.deployed import settings_of, table_of
from infrascale.serving.simulation.fleet import Change, Fleet, Records, Requests, Scaler, simulate_fleet
from infrascale.serving.simulation.outcome import Outcome, Piece, course, outcome
from infrascale.serving.simulation.pools import simulate_pools
from infrascale.serving.simulation.request import Settings
from infrascale.serving.simulation.speculation import answer_steps, in_steps
from infrascale.serving.simulation.steptable import StepTable
from infrascale.serving.tandem import Tandem
from infrascale.serving.transient import Instant
from infrascale.simulating.circumstances import Circumstances
from infrascale.simulating.upheaval import upheaval
from infrascale.workload.lengths import Lengths
from infrascale.workload.pattern import draw
from infrascale.workload.traffic import Traffic, single_turns
from infrascale.workload.workload import Workload

#: Filling up, before requests count, and the least span that does, in mean answers; and the least of all.
FILL_ANSWERS, SPAN_ANSWERS, LEAST_SPAN_S = 3, 30, 600.0
MOMENTS, PIECES = 400, 24

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """`analytic`: the queue's answer to the same question, Saturated where more arrives than is ever served, None
    where it knows no such traffic; `upheaval`: what it says of one replica while something befalls them.
    `most_request_per_s`: what all replicas sustain together of requests like these."""

    scenario: Scenario
    candidate: Candidate
    circumstances: Circumstances
    replicas: int
    fill_s: float
    span_s: float
    records: Records
    outcome: Outcome
    pieces: tuple[Piece, ...]
    analytic: Performance | Saturated | None
    offered_request_per_s: float
    most_request_per_s: float | None
    urgent: Outcome | None = None
    upheaval: tuple[Instant, ...] = ()
    refused_requests: int = 0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is simulated, ready to run any number of times: its traffic drawn, its step times tabulated."""

    scenario: Scenario
    candidate: Candidate
    efficiency: Efficiency
    circumstances: Circumstances
    with_headroom: bool = False

    @property
    def timer(self) -> PhysicsTimer:
        return PhysicsTimer(deployment=self.candidate.deployment, efficiency=self.efficiency)

    @property
    def planned_replicas(self) -> int:
        return self.candidate.replicas + self.candidate.spare_replicas

    @property
    def request_per_s(self) -> float:
        """At the busiest hour: what is asked, or what the planned replicas make of so many in flight."""
        margin = 1 + self.scenario.headroom_fraction
        asked = self.scenario.demand.request_per_s
        if asked is not None:
            return asked * margin if self.with_headroom else asked
        planned = self.candidate.performance.request_per_s * self.candidate.replicas
        return planned if self.with_headroom else planned / margin

    def spans_s(self) -> tuple[float, float]:
        """Filling up, and what counts after it."""
        pattern, answer_s = self.circumstances.pattern, self.candidate.performance.e2e_s.mean_s
        if pattern.replay is not None:
            whole = float(pattern.replay.arrival_s[-1]) / pattern.speedup + 1e-9
            span = min(whole, self.circumstances.seconds or whole)
            return min(FILL_ANSWERS * answer_s, span / 10), span - min(FILL_ANSWERS * answer_s, span / 10)
        talk = (pattern.turns - 1) * (pattern.turn_think_s + answer_s)
        fill = FILL_ANSWERS * (answer_s + talk)
        whole = max(LEAST_SPAN_S, SPAN_ANSWERS * answer_s, pattern.least_s)
        late = self.circumstances.late
        events = [death.at_s + (death.back_after_s or 0.0) for death in self.circumstances.deaths]
        events += [late.until_s] if late else []
        whole = max([whole, *(2 * at_s for at_s in events)])
        if self.circumstances.autoscaler or late:
            fill = 0.0  # the start is what is asked about
        return fill, self.circumstances.seconds or whole

    def traffic(self) -> Traffic:
        scenario, candidate, pattern = self.scenario, self.candidate, self.circumstances.pattern
        if scenario.demand.users is not None and pattern.clients is None and pattern.replay is None:
            shape = replace(pattern, clients=round(scenario.demand.users), think_s=scenario.demand.think_s or 0.0)
            pattern = shape if pattern.is_steady else pattern
        judge = Judge(scenario=scenario, deployment=candidate.deployment, efficiency=self.efficiency)
        return draw(
            pattern,
            request_per_s=self.request_per_s,
            seconds=sum(self.spans_s()),
            workload=scenario.workload,
            arrival_cv=scenario.arrival_cv,
            answer_s=0.8 * judge.alone.e2e_s.mean_s,
            most_tokens=scenario.knobs.max_model_len or scenario.model.max_model_len,
            rng=np.random.default_rng(self.circumstances.seed),
        )


def simulate(subject: Subject, progress: Progress = None) -> Simulation:
    """The planned replicas, or as many as the circumstances say, through their traffic."""
    told, candidate, scenario = subject.circumstances, subject.candidate, subject.scenario
    pattern = told.pattern
    replicas = told.replicas or subject.planned_replicas
    fill, span = subject.spans_s()
    traffic = subject.traffic()
    if not len(traffic):
        raise ScenarioError("no request to simulate", why="none comes in this time", fix="simulate a longer time")
    urgent = _urgent(traffic, told)
    drawn, like_these = len(traffic), None if pattern.is_steady and not pattern.lengths else traffic.workload
    requests = _requests(subject, traffic, urgent)
    del traffic  # a day of millions is held once
    records = serve(subject, requests, replicas, progress)
    del requests
    promise = scenario.promise
    judged = {"ttft_s": promise.ttft_s, "token_per_s": promise.token_per_s}
    engines = replicas + (told.prefill_replicas or 0)
    found = outcome(records, replicas, fill, fill + span, **judged)
    offered = float((records.arrival_ps >= 0).sum()) / max(1e-9, fill + span)
    return Simulation(
        scenario=scenario,
        candidate=candidate,
        circumstances=told,
        replicas=engines,
        fill_s=fill,
        span_s=span,
        records=records,
        outcome=found,
        pieces=course(records, fill, fill + span, PIECES, **judged),
        analytic=_analytic(subject, replicas),
        upheaval=_upheaval(subject, replicas, fill + span),
        offered_request_per_s=offered,
        most_request_per_s=_most(subject, like_these, found, replicas),
        urgent=outcome(records.only(urgent), replicas, fill, fill + span, **judged) if urgent.any() else None,
        refused_requests=len(pattern.replay) - drawn if pattern.replay and not told.seconds else 0,
    )


def requests_at(subject: Subject, arrival_s: np.ndarray, rng: np.random.Generator) -> Requests:
    """Single requests of the scenario's lengths that arrive then."""
    load, most = subject.scenario.workload, subject.scenario.model.max_model_len // 2
    isl = Lengths(mean_tokens=load.isl_tokens, cv=load.isl_cv, most_tokens=most)
    osl = Lengths(mean_tokens=load.osl_tokens, cv=load.osl_cv, most_tokens=most)
    return _requests(subject, single_turns(arrival_s, isl, osl, rng), np.zeros(len(arrival_s), dtype=bool))


def engine_of(subject: Subject, requests: Requests) -> tuple[StepTable, Settings]:
    """Step times and knobs of one replica, for requests as long as these."""
    deployment, longest = subject.candidate.deployment, int((requests.isl_tokens + requests.osl_tokens).max())
    settings = _settings(subject, longest)
    return table_of(deployment, subject.timer, settings, longest), settings


def _settings(subject: Subject, longest_tokens: int) -> Settings:
    deployment = subject.candidate.deployment
    return settings_of(
        deployment,
        subject.candidate.max_batch,
        longest_tokens,
        by_priority=subject.circumstances.pattern.urgent_fraction > 0,
        async_scheduling=steps_until_seen(deployment) > 0,
    )


def serve(subject: Subject, requests: Requests, replicas: int, progress: Progress = None) -> Records:
    """The requests through the replicas of these circumstances."""
    told, deployment = subject.circumstances, subject.candidate.deployment
    moments = np.linspace(subject.spans_s()[0], sum(subject.spans_s()), MOMENTS)
    if told.speculation is not None:
        steps = answer_steps(requests.osl_tokens, told.speculation, np.random.default_rng(told.seed))
        longest = int((requests.isl_tokens + requests.osl_tokens).max())
        usual = _settings(subject, longest)
        asked, settings, timer = in_steps(requests, steps, usual, subject.timer, told.speculation)
        longest = int((asked.isl_tokens + asked.osl_tokens).max())
        table = table_of(deployment, timer, settings, longest)
        found = simulate_fleet(asked, table, settings, _fleet(told, replicas), moments_s=moments, progress=progress)
        return found.in_tokens(requests.isl_tokens, requests.osl_tokens)
    table, settings = engine_of(subject, requests)
    if told.prefill_replicas:
        host = subject.timer.host
        # both front ends as in serving.disaggregated, beside which handover_s was measured: not FRONT_S of open loops
        asked = replace(requests, delay_s=host.request_s + host.prompt_token_s * requests.isl_tokens)
        moving_s = _moving_s(subject) * requests.isl_tokens
        handing_s, links = host.handover_s + host.request_s, deployment.shard.gpus  # servers have a link a GPU
        pools = Fleet(replicas=told.prefill_replicas, policy=told.policy), Fleet(replicas=replicas, policy=told.policy)
        return simulate_pools(
            asked, table, settings, *pools, moving_s, handing_s, links=links, moments_s=moments, progress=progress
        )
    return simulate_fleet(requests, table, settings, _fleet(told, replicas), moments_s=moments, progress=progress)


def _moving_s(subject: Subject) -> float:
    """Of a token's cache from pool to pool, over one link."""
    return cache_bytes_per_request(subject.candidate.deployment, 1000.0) / 1000.0 / BETWEEN_SERVERS.bytes_per_s


def _tandem(subject: Subject, replicas: int) -> Tandem:
    """Both pools as the analytic queue takes them."""
    host, load = subject.timer.host, subject.scenario.workload
    return Tandem(
        replica=replica_of(subject),
        prefill_engines=float(subject.circumstances.prefill_replicas or 0),
        decode_engines=float(replicas),
        moving_s=_moving_s(subject) * load.isl_tokens,
        handing_s=host.handover_s + host.request_s,
    )


def _requests(subject: Subject, traffic: Traffic, urgent: np.ndarray) -> Requests:
    """Traffic as the engines see it: with the front end's time, and the cached heads."""
    isl, count = traffic.isl_tokens, len(traffic)
    hit = subject.scenario.workload.prefix_hit_fraction
    heads = traffic.head_tokens
    if hit and not len(heads):  # conversations and traces say themselves what they share
        heads = (isl * hit).astype(np.int64)
    chained, shared = bool((traffic.follows >= 0).any()), bool(heads.any())
    return Requests(
        arrival_s=traffic.arrival_s,
        isl_tokens=isl,
        osl_tokens=traffic.osl_tokens,
        stream=traffic.stream,
        prefix=np.zeros(count, np.int64) if shared else np.empty(0, np.int64),
        prefix_tokens=heads if shared else np.empty(0, np.int64),
        priority=np.where(urgent, 0, 1) if urgent.any() else np.empty(0, np.int64),
        follows=traffic.follows if chained else np.empty(0, np.int64),
        think_s=traffic.think_s if chained else np.empty(0),
        delay_s=FRONT_S + subject.timer.host.prompt_token_s * isl,
    )


def _urgent(traffic: Traffic, told: Circumstances) -> np.ndarray:
    if not told.pattern.urgent_fraction:
        return np.zeros(len(traffic), dtype=bool)
    return np.random.default_rng([told.seed, 1]).random(len(traffic)) < told.pattern.urgent_fraction


def _fleet(told: Circumstances, replicas: int) -> Fleet:
    """Who is there when."""
    changes = []
    for number, death in enumerate(told.deaths):
        changes.append(Change(at_s=death.at_s, replica=number % replicas, alive=False))
        if death.back_after_s is not None:
            changes.append(Change(at_s=death.at_s + death.back_after_s, replica=number % replicas, alive=True))
    if told.late is not None:
        absent = range(max(0, replicas - told.late.replicas), replicas)
        changes += [Change(at_s=told.late.until_s, replica=r, alive=True) for r in absent]
    auto = told.autoscaler
    scaler = None
    if auto is not None:
        scaler = Scaler(
            least=min(auto.least, replicas),
            target_requests=auto.target_requests,
            every_s=auto.every_s,
            lag_s=auto.lag_s,
            calm_s=auto.calm_s,
        )
    return Fleet(replicas=replicas, policy=told.policy, changes=tuple(changes), scaler=scaler)


def replica_of(subject: Subject) -> Replica:
    """One replica as the analytic queue takes it, with the batch of the plan and all of its cache."""
    deployment, workload = subject.candidate.deployment, subject.scenario.workload
    timer = subject.timer
    return Replica(
        timer=timer,
        workload=workload,
        limits=replace(limits_of(deployment, workload), max_num_seqs=subject.candidate.max_batch),
        host=timer.host,
        unseen_steps=steps_until_seen(deployment),
    )


def _upheaval(subject: Subject, replicas: int, end_s: float) -> tuple[Instant, ...]:
    if subject.scenario.demand.users is not None:
        return ()
    return upheaval(replica_of(subject), subject.request_per_s, subject.circumstances, replicas, end_s)


def _most(subject: Subject, like_these: Workload | None, found: Outcome, replicas: int) -> float | None:
    """What the replicas sustain of these lengths and cache hits; the queue knows no guesses."""
    told = subject.circumstances
    if told.speculation:
        return None
    load = subject.scenario.workload
    if like_these is not None:
        load = replace(like_these, prefix_hit_fraction=min(1.0, found.hit_fraction))
    alike = replace(subject, scenario=replace(subject.scenario, workload=load))
    if told.prefill_replicas:
        return _tandem(alike, replicas).most_request_per_s
    return replica_of(alike).most_request_per_s * replicas


def _analytic(subject: Subject, replicas: int) -> Performance | Saturated | None:
    """Where the traffic has an equilibrium and all replicas are alike and alive."""
    told, scenario = subject.circumstances, subject.scenario
    special = told.speculation or told.pattern.lengths or told.pattern.urgent_fraction
    if special or not told.pattern.is_steady or not told.is_calm:
        return None
    replica = replica_of(subject)
    clients = told.pattern.clients or scenario.demand.users
    if clients is not None and told.prefill_replicas:
        return None
    if clients is not None:
        think_s = told.pattern.think_s if told.pattern.clients else scenario.demand.think_s or 0.0
        return replica.under_users(max(1, round(clients / replicas)), think_s).performance
    everyone = Arrivals(request_per_s=subject.request_per_s, scv=scenario.arrival_cv**2)
    router = ROUTERS.get(told.policy, at_random)
    if told.prefill_replicas:
        return _tandem(subject, replicas).under(everyone, router)
    found = replica.under(router(everyone, float(replicas)))
    return found if isinstance(found, Saturated) else found.performance
