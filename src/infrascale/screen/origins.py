"""Where each number of an answer comes from: its kind, and its formula with the reader's own values in it.

In: Words, Plan, its certainty.    Out: Origin by name. Nothing is computed here but what the formula itself repeats.
A kind is measured, calibrated (on your own load tests), simulated, computed or assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from infrascale.certainty import Certainty, Rest
from infrascale.locales import Words
from infrascale.planning import Candidate, Constraint, Flow, Plan, Promise, Scenario, flow
from infrascale.screen.text import evidence_or_rest, percentiles


class Kind(StrEnum):
    MEASURED = "measured"
    CALIBRATED = "calibrated"
    SIMULATED = "simulated"
    COMPUTED = "computed"
    ASSUMED = "assumed"


#: A sign for each kind, so that it is told without colour and at a glance.
SIGNS = {Kind.MEASURED: "●", Kind.CALIBRATED: "◆", Kind.SIMULATED: "▲", Kind.COMPUTED: "■", Kind.ASSUMED: "○"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """`formula`: lines in the reader's language, numbers with their units."""

    kind: Kind
    formula: tuple[str, ...]


def origins(w: Words, plan: Plan, sure: Certainty | None, rest: Rest | None = None) -> dict[str, Origin]:
    """Of the demand always; of the answer where there is one. `rest`: the load tests that its predictions rest on."""
    found = flow(plan.scenario, plan.best)
    said = {"flow": _flow(w, plan, found)}
    if plan.best is None:
        return said
    best, promise = plan.best, plan.scenario.promise
    said |= {"gpus": _gpus(w, plan, best, sure), "speed": _speed(w, promise, best)}
    said |= {"ttft": _ttft(w, plan.scenario, best), "throughput": _throughput(w, best)}
    said |= {"binds": constraints(w, best), "others": _of(w, "others"), "levers": _of(w, "lever")}
    said |= {"stairs": _stairs(w, best), "cliff": _of(w, "cliff", n=best.replicas, batch=best.max_batch)}
    if rest:
        owed = evidence_or_rest(w, sure, rest)
        said = {k: one if k == "flow" else replace(one, kind=Kind.CALIBRATED, formula=(*one.formula, owed))
                for k, one in said.items()}  # fmt: skip
    return said | {"memory": memory(w, best)}


def _of(w: Words, key: str, **values: object) -> Origin:
    return Origin(kind=Kind.COMPUTED, formula=(w.say(f"origin.{key}", **values),))


def constraints(w: Words, best: Candidate) -> Origin:
    """The four inequalities with what stands on either side."""
    lines = (
        w.say(
            f"origin.check_{check.constraint.value}",
            needed=w.quantity(check.needed, check.unit),
            available=w.quantity(check.available, check.unit),
        )
        for check in best.checks
    )
    return Origin(kind=Kind.COMPUTED, formula=tuple(lines))


def _stairs(w: Words, best: Candidate) -> Origin:
    return _of(w, "stairs", s=best.gpus_per_replica, spare=best.spare_replicas)


def carried(w: Words, scenario: Scenario, best: Candidate, most: float) -> dict[str, Origin]:
    """Of what GPUs that one owns can carry: requests at once, users, output, what binds, memory."""
    stays_s, requests = best.performance.e2e_s.mean_s, w.quantity(most, "requests")
    share = scenario.share_in_flight(stays_s)
    each = w.number(most / best.replicas)
    counts = {"n": best.replicas, "each": each, "requests": requests, "batch": best.max_batch}
    rate = w.quantity(best.performance.request_per_s * best.replicas, "request_per_s")
    people = {"requests": requests, "rate": rate, "users": w.number(most / share)}
    users = w.say("origin.users_carried", share=w.number(share, 3), **people)
    if (hourly := scenario.requests_per_user_hour) is not None:
        users = w.say("origin.users_carried_hourly", hourly=w.short(hourly), **people)
    stays = w.quantity(stays_s, "s")
    return {
        "at_once": _of(w, "carried", **counts),
        "users": Origin(kind=Kind.ASSUMED if scenario.habit_is_assumed else Kind.COMPUTED, formula=(users,)),
        "rate": _of(w, "little", requests=requests, rate=rate, stays=stays),
        "throughput": _throughput(w, best),
        "ways": _of(w, "ways"),
        "binds": constraints(w, best),
        "memory": memory(w, best),
    }


def _flow(w: Words, plan: Plan, found: Flow) -> Origin:
    """How many requests there are: Little's law ties their number, their rate and how long each stays."""
    scenario = plan.scenario
    rate, stays = w.quantity(found.request_per_s, "request_per_s"), w.quantity(found.stays_s, "s")
    requests = w.quantity(found.in_flight_requests, "requests")
    little = w.say("origin.little", requests=requests, rate=rate, stays=stays)
    if scenario.users and scenario.requests_per_user_hour:
        users, hourly = w.number(scenario.users), w.short(scenario.requests_per_user_hour)
        line = w.say("origin.hourly", users=users, hourly=hourly, rate=rate)
        kind = Kind.ASSUMED if scenario.habit_is_assumed else Kind.COMPUTED
        return Origin(kind=kind, formula=(line, little))
    if scenario.users and scenario.requests_per_user:
        share = w.number(scenario.requests_per_user, 3)
        line = w.say("origin.users", requests=requests, users=w.number(scenario.users), share=share)
        return Origin(kind=Kind.COMPUTED, formula=(line, little))
    return Origin(kind=Kind.COMPUTED, formula=(little,))


def _gpus(w: Words, plan: Plan, best: Candidate, sure: Certainty | None) -> Origin:
    counts = {"n": best.replicas, "spare": best.spare_replicas, "s": best.gpus_per_replica, "gpus": best.gpus}
    each = w.number(best.load * best.max_batch, 1)
    lines = [
        w.say("origin.gpus", **counts),
        w.say(
            "origin.load",
            each=each,
            batch=best.max_batch,
            b=w.typed(round(best.batch_exponent, 2)),
            load=w.number(best.load, 2),
        ),
        w.say("origin.proof") if plan.solver == "exact" else w.say("origin.search"),
    ]
    if sure:
        lines.append(w.say("origin.interval", confidence=w.percent(sure.confidence_fraction)))
    return Origin(kind=Kind.COMPUTED, formula=tuple(lines))


def _speed(w: Words, promise: Promise, best: Candidate) -> Origin:
    found, of = best.performance, percentiles(promise)["speed"]
    tpot_s = promise.tpot_of(found)
    lines = [
        w.say("origin.speed", tpot=w.quantity(tpot_s, "s"), speed=w.quantity(1 / tpot_s, "token_per_s")),
        w.say("origin.step", running=w.number(found.running_seqs, 1), gpus=best.gpus_per_replica),
    ]
    if of:
        mean = w.quantity(1 / best.performance.tpot_s.mean_s, "token_per_s")
        lines.append(w.say("origin.percentile", name=w.say("plan.speed") + of, mean=mean))
    return Origin(kind=Kind.COMPUTED, formula=tuple(lines))


def _ttft(w: Words, scenario: Scenario, best: Candidate) -> Origin:
    load, mean, of = scenario.workload, best.performance.ttft_s.mean_s, percentiles(scenario.promise)["ttft"]
    lines = [
        w.say(
            "origin.ttft", ttft=w.quantity(mean, "s"), new=w.number(load.new_tokens), isl=w.number(load.isl_tokens),
            load=w.number(best.load, 2),
        )
    ]  # fmt: skip
    if of:
        lines.append(w.say("origin.percentile", name=w.say("plan.ttft") + of, mean=w.quantity(mean, "s")))
    return Origin(kind=Kind.COMPUTED, formula=tuple(lines))


def _throughput(w: Words, best: Candidate) -> Origin:
    found = best.performance
    each, total = found.output_token_per_s, found.output_token_per_s * best.replicas
    said = w.say(
        "origin.throughput", n=w.number(best.replicas), each=w.quantity(each, "token_per_s"),
        total=w.quantity(total, "token_per_s"),
    )  # fmt: skip
    return Origin(kind=Kind.COMPUTED, formula=(said,))


def memory(w: Words, best: Candidate) -> Origin:
    """Weights, cache and the rest of one GPU, whose size is what the card reports."""
    deployment, memory = best.deployment, best.memory
    check = next(c for c in best.checks if c.constraint is Constraint.MEMORY)
    source = deployment.gpu.sources.get("hbm_bytes")
    cache = check.needed - memory.needed_bytes
    lines = (
        w.say(
            "origin.weights",
            params=w.number(deployment.model.params / 1e9, 1),
            gpus=best.gpus_per_replica,
            precision=deployment.quantization.precision,
            weights=w.quantity(memory.weights_bytes, "bytes"),
        ),
        w.say("origin.cache", batch=best.max_batch, cache=w.quantity(cache, "bytes")),
        w.say("origin.card", size=w.quantity(memory.total_bytes, "bytes"), source=source.at if source else "–"),
    )
    return Origin(kind=Kind.COMPUTED, formula=lines)
