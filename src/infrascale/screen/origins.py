"""Where each number of an answer comes from: its kind, and its formula with the reader's own values in it.

In: Words, Plan, its certainty.    Out: Origin by name. Nothing is computed here but what the formula itself repeats.
A kind is measured, calibrated (on your own load tests), simulated, computed or assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from infrascale.certainty import Certainty
from infrascale.locales import Words
from infrascale.planning import Candidate, Constraint, Flow, Plan, flow


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


def origins(w: Words, plan: Plan, sure: Certainty | None) -> dict[str, Origin]:
    """Of the demand always; of the answer where there is one."""
    found = flow(plan.scenario, plan.best)
    said = {"flow": _flow(w, plan, found)}
    if plan.best is None:
        return said
    best = plan.best
    said |= {"gpus": _gpus(w, plan, best, sure), "speed": _speed(w, best), "ttft": _ttft(w, plan, best)}
    return said | {"throughput": _throughput(w, best), "memory": _memory(w, best)}


def _flow(w: Words, plan: Plan, found: Flow) -> Origin:
    """How many requests there are: Little's law ties their number, their rate and how long each stays."""
    scenario = plan.scenario
    rate, stays = w.quantity(found.request_per_s, "request_per_s"), w.quantity(found.stays_s, "s")
    requests = w.quantity(found.in_flight_requests, "requests")
    little = w.say("origin.little", requests=requests, rate=rate, stays=stays)
    if scenario.users and scenario.requests_per_user and scenario.demand.in_flight_requests is not None:
        share = w.number(scenario.requests_per_user, 3)
        users = w.say("origin.users", requests=requests, users=w.number(scenario.users), share=share)
        if not scenario.requests_per_user_is_assumed:
            return Origin(kind=Kind.COMPUTED, formula=(users, little))
        promise, osl = scenario.promise, scenario.workload.osl_tokens
        why = w.say(
            "origin.share", share=share, ttft=w.quantity(promise.ttft_s, "s"), osl=w.number(osl),
            speed=w.quantity(promise.token_per_s, "token_per_s"),
        )  # fmt: skip
        return Origin(kind=Kind.ASSUMED, formula=(users, why, little))
    return Origin(kind=Kind.COMPUTED, formula=(little,))


def _gpus(w: Words, plan: Plan, best: Candidate, sure: Certainty | None) -> Origin:
    counts = {"n": best.replicas, "spare": best.spare_replicas, "s": best.gpus_per_replica, "gpus": best.gpus}
    each = w.number(best.load * best.max_batch, 1)
    lines = [
        w.say("origin.gpus", **counts),
        w.say("origin.load", each=each, batch=best.max_batch, b=best.batch_exponent, load=w.number(best.load, 2)),
        w.say("origin.proof") if plan.solver == "exact" else w.say("origin.search"),
    ]
    if sure:
        lines.append(w.say("origin.interval", confidence=w.percent(sure.confidence_fraction)))
    return Origin(kind=Kind.COMPUTED, formula=tuple(lines))


def _speed(w: Words, best: Candidate) -> Origin:
    found = best.performance
    tpot = w.quantity(found.tpot_s.mean_s, "s")
    speed = w.quantity(found.token_per_s_per_request, "token_per_s")
    return Origin(
        kind=Kind.COMPUTED,
        formula=(
            w.say("origin.speed", tpot=tpot, speed=speed),
            w.say("origin.step", running=w.number(found.running_seqs, 1), gpus=best.gpus_per_replica),
        ),
    )


def _ttft(w: Words, plan: Plan, best: Candidate) -> Origin:
    load = plan.scenario.workload
    said = w.say(
        "origin.ttft", ttft=w.quantity(best.performance.ttft_s.mean_s, "s"), new=w.number(load.new_tokens),
        isl=w.number(load.isl_tokens), load=w.number(best.load, 2),
    )  # fmt: skip
    return Origin(kind=Kind.COMPUTED, formula=(said,))


def _throughput(w: Words, best: Candidate) -> Origin:
    found = best.performance
    each, total = found.output_token_per_s, found.output_token_per_s * best.replicas
    said = w.say(
        "origin.throughput", n=w.number(best.replicas), each=w.quantity(each, "token_per_s"),
        total=w.quantity(total, "token_per_s"),
    )  # fmt: skip
    return Origin(kind=Kind.COMPUTED, formula=(said,))


def _memory(w: Words, best: Candidate) -> Origin:
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
