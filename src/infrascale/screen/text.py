"""A Plan as one screen of text in the reader's language. No number is computed here but margins.

In: Plan, Words.    Out: lines within 80 columns; the answer first, then the promise, the constraints, the memory.
Idea: every text is a key of `infrascale.locales`; names are cut to their column, numbers never are.
Knows nothing of how an answer was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from infrascale.certainty import Beyond, Certainty, Evidence, Rest
from infrascale.errors import InfraScaleError
from infrascale.locales import Words, words
from infrascale.planning import Candidate, Check, Constraint, Flow, Objective, Plan, Promise, Rejection, Scenario
from infrascale.screen.record import cut, nearest_changes

WIDTH = 80
BAR = 24  # columns of a full GPU


def plan_lines(
    plan: Plan, say: Words | None = None, *, sure: Certainty | None = None, rest: Rest | None = None
) -> list[str]:
    """The screen of `infrascale plan`, by default in the reader's language; `sure` adds how sure it is.

    `rest`: the load tests of one's own that it rests on, in place of published evidence.
    """
    w = say or words()
    if plan.best is None:
        return _infeasible(w, plan)
    best = plan.best
    return [
        *_answer(w, plan, best, sure),
        "",
        *_asked(w, plan.scenario, best),
        "",
        *_promises(w, plan.scenario, best, sure),
        "",
        *_constraints(w, best),
        "",
        *_memory(w, best),
        *_losers(w, plan, best),
        "",
        *paragraph(evidence_or_rest(w, sure, rest), "  "),
    ]


def capacity_lines(
    gpus: int,
    scenario: Scenario,
    found: Sequence[tuple[Candidate, float]],
    say: Words | None = None,
    *,
    beyond: Beyond | None = None,
    rest: Rest | None = None,
) -> list[str]:
    """The screen of `infrascale capacity`: the most requests at once, then what each way serves.

    `beyond` adds how sure that is, what breaks first, and what twice as much would need.
    """
    w = say or words()
    if not found:
        return [w.say("capacity.none")]
    answer, users, *around = capacity_sentences(w, gpus, scenario, found, beyond)
    ways = [
        f"  {w.quantity(requests, 'requests'):>18}{w.number(candidate.replicas):>6} × {fit(cut(candidate), 44)}"
        for candidate, requests in found[:6]
    ]
    lines = [*paragraph(answer, ""), f"  {users}"]
    if beyond is None:
        return [*lines, "", *ways]
    return [
        *lines,
        *(line for text in around for line in paragraph(text, "  ")),
        "",
        *_promises(w, scenario, found[0][0], None),
        "",
        *_memory(w, found[0][0]),
        "",
        "  " + w.say("capacity.ways"),
        *ways,
        "",
        *paragraph(evidence_or_rest(w, beyond, rest), "  "),
    ]


def capacity_sentences(
    w: Words, gpus: int, scenario: Scenario, found: Sequence[tuple[Candidate, float]], beyond: Beyond | None
) -> list[str]:
    """The requests at once and the users they mean; then how sure that is, what breaks first, what twice would need."""
    if not found:
        return [w.say("capacity.none")]
    best, most = found[0]
    share = scenario.share_in_flight(best.performance.e2e_s.mean_s)
    users = w.say("capacity.users", n=round(most / share), share=w.number(share, 3))
    if (hourly := scenario.requests_per_user_hour) is not None:
        users = w.say("capacity.users_hourly", n=round(most / share), hourly=w.short(hourly))
    said = [
        w.say("capacity.answer", gpus=w.quantity(gpus, "gpus"), n=round(most), model=scenario.model.id),
        users,
    ]
    if beyond is None:
        return said
    ends = {"low": round(beyond.low_requests), "high": round(beyond.high_requests)}
    doubled = beyond.doubled_gpus
    more = w.say("capacity.doubled", gpus=w.quantity(doubled, "gpus")) if doubled else w.say("capacity.never")
    return [
        *said,
        w.say("capacity.between", confidence=w.percent(beyond.confidence_fraction), **ends),
        w.say("capacity.breaks", name=w.say(f"constraint.{beyond.breaks.value}")) + " " + more,
    ]


def _answer(w: Words, plan: Plan, best: Candidate, sure: Certainty | None) -> list[str]:
    first, *rest = answer_sentences(w, plan, best, sure)
    return [*paragraph(first, ""), *(line for said in rest for line in paragraph(said, "  "))]


def answer_sentences(w: Words, plan: Plan, best: Candidate, sure: Certainty | None) -> list[str]:
    """The GPUs; the batch and the letters; how sure; what binds."""
    replicas = w.quantity(best.replicas, "replicas")
    size = w.quantity(best.gpus_per_replica, "gpus")
    batch = w.say("plan.batch", n=best.max_batch)
    letters = w.say("plan.letters", b=w.typed(round(best.batch_exponent, 2)), load=w.number(best.load, 2))
    proof, why = proof_and_limit(w, plan, best)
    counts = {"gpus": best.gpus, "gpu": best.deployment.gpu.name, "replicas": replicas, "size": size, "proof": proof}
    spare = best.spare_replicas
    answer = w.say("plan.answer_spare", n=spare, **counts) if spare else w.say("plan.answer", **counts)
    return [answer, f"{batch} ({letters})", *([_gpus_between(w, sure)] if sure else []), why]


def proof_and_limit(w: Words, plan: Plan, best: Candidate) -> tuple[str, str]:
    """How sure it is that fewer would not do; what binds, and that a mean promises nothing where requests queue."""
    if plan.solver == "nelder-mead":
        proof = w.say("plan.inexact", excess=w.percent(plan.excess_fraction))
    elif plan.solver == "simulated":
        proof = w.say("plan.simulated")
    elif plan.objective is Objective.GPUS:
        proof = w.say("plan.exact")
    else:
        proof = w.say("plan.by", objective=w.say(f"plan.by_{plan.objective.value}"), count=1 + len(plan.others))
    name, alone = best.binding.constraint.value, best.replicas == 1
    limit = w.say("plan.binds_alone", name=w.say(f"constraint.{name}")) if alone else w.say(f"plan.binds_{name}")
    if best.load > 1 and not plan.scenario.promise.is_of_shares:
        limit += " " + w.say("plan.full")
    return proof, limit


def headline(w: Words, plan: Plan, best: Candidate, sure: Certainty | None) -> str:
    """The whole answer in one sentence: 6 × H100 = 3 replicas × 2 GPUs; up to 64 at once in each; 5 to 7 GPUs with…"""
    replicas = w.quantity(best.replicas, "replicas")
    if best.spare_replicas:
        replicas = w.say("plan.with_spare", replicas=replicas, n=best.spare_replicas)
    size = w.quantity(best.gpus_per_replica, "gpus")
    said = [
        f"{w.number(best.gpus)} × {best.deployment.gpu.name} = {replicas} × {size}",
        w.say("plan.batch", n=best.max_batch),
        *([_gpus_between(w, sure)] if sure else []),
    ]
    return w.say("plan.semicolon").join(said)


def flow_sentence(w: Words, asked: tuple[str, float], found: Flow, scenario: Scenario) -> str:
    """10,000 agents → 27 requests/s at the peak → about 210 in flight; a habit that nobody told is said to be ours."""
    key, value = asked
    rate = w.quantity(found.request_per_s, "request_per_s")
    said = [w.say("plan.flow_rate", rate=rate), w.say("plan.flow_in_flight", n=round(found.in_flight_requests))]
    who = [] if key == "request_per_s" else [w.say(f"plan.flow_{key}", n=round(value))]
    if scenario.habit_is_assumed and scenario.requests_per_user_hour:
        who[0] += " × " + w.say("plan.flow_assumed", hourly=w.short(scenario.requests_per_user_hour))
    return " → ".join(who + said)


def percentiles(promise: Promise) -> dict[str, str]:
    """What stands behind a promised speed and wait when they are not means: " p5", " p95"."""
    slowest, latest = promise.speed_share, promise.ttft_share
    return {
        "speed": f" p{100 - slowest * 100:.0f}" if slowest is not None else "",
        "ttft": f" p{latest * 100:.0f}" if latest is not None else "",
    }


def why_lost(w: Words, plan: Plan, best: Candidate, other: Candidate) -> str:
    """What the winner has over another way that keeps the promise: by what the ways were chosen by."""
    more = other.gpus - best.gpus
    speed = w.quantity(1 / plan.scenario.promise.tpot_of(other.performance), "token_per_s")
    name = w.say(f"constraint.{other.binding.constraint.value}")
    if plan.objective is not Objective.GPUS:
        return w.say(f"plan.other_{plan.objective.value}", name=name)
    if not more:
        return w.say("plan.other_same", speed=speed, name=name)
    return w.say("plan.other_more" if more > 0 else "plan.other_fewer", n=abs(more), name=name)


def why_refused(w: Words, refused: Rejection) -> str:
    """What stops a way that serves nobody."""
    if refused.constraint is Constraint.SUPPORT:
        return w.say("plan.refused_support")
    name = w.say(f"constraint.{refused.constraint.value}")
    needed, available = w.quantity(refused.needed, refused.unit), w.quantity(refused.available, refused.unit)
    return w.say("plan.refused", name=name, needed=needed, available=available)


def _asked(w: Words, scenario: Scenario, best: Candidate) -> list[str]:
    demand, load = scenario.demand, scenario.workload
    sizes = {"isl": w.number(load.isl_tokens), "osl": w.number(load.osl_tokens)}
    hourly = w.short(scenario.requests_per_user_hour or 0.0)
    if demand.request_per_s is not None:
        rate, users = w.quantity(demand.request_per_s, "request_per_s"), scenario.users
        asked = w.say("plan.demand_rate", rate=rate, **sizes)
        if users:
            asked = w.say("plan.demand_hourly", users=w.quantity(users, "users"), hourly=hourly, rate=rate, **sizes)
    elif demand.users is not None:
        users, think = w.quantity(demand.users, "users"), w.quantity(demand.think_s or 0.0, "s")
        asked = w.say("plan.demand_users", users=users, think=think, **sizes)
    else:
        asked = w.say("plan.demand_in_flight", n=demand.in_flight_requests, **sizes)
    rows = [("model", f"{scenario.model.id}, {cut(best)}"), ("demand", asked)]
    if scenario.model.assumed:
        rows.append(("assumed", w.say("plan.assumed_model")))
    if scenario.headroom_fraction:
        rows.append(("headroom", w.say("plan.headroom_share", share=w.percent(scenario.headroom_fraction))))
    if scenario.habit_is_assumed:
        rows.append(("assumed", w.say("plan.assumed_hourly", hourly=hourly) + " " + w.say("plan.assumed_yours")))
    return [line for key, text in rows for line in paragraph(text, f"  {w.say(f'plan.{key}'):<12}")]


def _gpus_between(w: Words, sure: Certainty) -> str:
    """The bold and the cautious end; a cautious end that no number of GPUs reaches is said so."""
    confidence = w.percent(sure.confidence_fraction)
    if sure.high_gpus is None:
        return w.say("plan.interval_open", low=sure.low_gpus or 1, confidence=confidence)
    if sure.low_gpus == sure.high_gpus:
        return w.say("plan.interval_same", n=sure.high_gpus, confidence=confidence)
    return w.say("plan.interval", low=sure.low_gpus or 1, high=sure.high_gpus, confidence=confidence)


def _between(w: Words, ends: tuple[float, float], unit: str) -> str:
    return f"{w.quantity(ends[0], unit)} … {w.quantity(ends[1], unit)}"


def _promises(w: Words, scenario: Scenario, best: Candidate, sure: Certainty | None) -> list[str]:
    found, promise = best.performance, scenario.promise
    tokens = w.quantity(found.output_token_per_s * best.replicas, "token_per_s")
    requests = w.quantity(found.request_per_s * best.replicas, "request_per_s")
    speed, ttft = 1 / promise.tpot_of(found), promise.ttft_of(found)
    of = percentiles(promise)
    rows = [
        ("", w.say("plan.found"), w.say("plan.promise"), w.say("plan.margin")),
        (
            w.say("plan.speed") + of["speed"],
            w.quantity(speed, "token_per_s"),
            w.quantity(promise.token_per_s, "token_per_s"),
            w.percent(speed / promise.token_per_s - 1, signed=True),
        ),
        (
            w.say("plan.ttft") + of["ttft"],
            w.quantity(ttft, "s"),
            w.quantity(promise.ttft_s, "s"),
            w.percent(1 - ttft / promise.ttft_s, signed=True),
        ),
        (w.say("plan.e2e"), w.quantity(found.e2e_s.mean_s, "s"), "", ""),
    ]
    lines = [f"  {name:<22}{value:>17}{asked:>17}{margin:>11}".rstrip() for name, value, asked, margin in rows]
    if sure:
        ends = {"speed": (sure.token_per_s, "token_per_s"), "ttft": (sure.ttft_s, "s")}
        said = {name: _between(w, *end) for name, end in ends.items()}
        lines += paragraph(w.say("plan.ends", confidence=w.percent(sure.confidence_fraction), **said), "  ")
    return [*lines, f"  {w.say('plan.total'):<22}  " + w.say("plan.total_value", tokens=tokens, requests=requests)]


def _constraints(w: Words, best: Candidate) -> list[str]:
    names = [w.say(f"plan.{key}") for key in ("constraint", "needed", "available", "margin")]
    head = f"  {names[0]:<14}{names[1]:>18}{names[2]:>18}{names[3]:>11}"
    return [head, *(_check(w, check, check is best.binding) for check in best.checks)]


def _check(w: Words, check: Check, binds: bool) -> str:
    mark = "  " + w.say("plan.binds") if binds else ""
    name = w.say(f"constraint.{check.constraint.value}")
    needed, available = w.quantity(check.needed, check.unit), w.quantity(check.available, check.unit)
    return f"  {name:<14}{needed:>18} {available:>17}{w.percent(check.slack_fraction):>11}{mark}"


def _memory(w: Words, best: Candidate) -> list[str]:
    memory = best.memory
    check = next(c for c in best.checks if c.constraint is Constraint.MEMORY)
    parts = {
        "weights": memory.weights_bytes,
        "cache": check.needed - memory.needed_bytes,
        "activations": memory.activations_bytes,
        "runtime": memory.graphs_bytes + memory.runtime_bytes,
        "free": check.available - check.needed,
        "reserved": memory.reserved_bytes,
    }
    lines = ["  " + w.say("plan.memory_of", size=w.quantity(memory.total_bytes, "bytes"))]
    for key, size in parts.items():
        bar = "█" * round(BAR * max(0.0, size) / memory.total_bytes)
        lines.append(f"    {w.say(f'plan.{key}'):<33}{w.quantity(size, 'bytes'):>11}  {bar}".rstrip())
    return lines


def _losers(w: Words, plan: Plan, best: Candidate) -> list[str]:
    """The other ways that keep the promise, then some that cannot."""
    rows = [_other(w, plan, best, other) for other in plan.others[:5]]
    rows += [_refused(w, refused) for refused in plan.rejected[: max(0, 7 - len(plan.others))]]
    return ["", "  " + w.say("plan.others"), *rows] if rows else []


def _other(w: Words, plan: Plan, best: Candidate, other: Candidate) -> str:
    return _row(w.quantity(other.gpus, "gpus"), cut(other), why_lost(w, plan, best, other))


def _refused(w: Words, refused: Rejection) -> str:
    return _row("–", cut(refused), why_refused(w, refused))


def _row(gpus: str, way: str, why: str) -> str:
    room = WIDTH - 16 - len(why)
    return f"  {gpus:>10}  {fit(way, room):<{min(26, room)}}  {why}"


def evidence_or_rest(w: Words, sure: Certainty | Beyond | None, rest: Rest | None) -> str:
    """What the answer rests on: load tests of one's own, or published measurements near it."""
    return owed(w, rest) if rest else evidence_said(w, sure.evidence if sure else None)


def evidence_said(w: Words, evidence: Evidence | None) -> str:
    if evidence is None:
        return w.say("plan.evidence")
    error = w.percent(evidence.error_fraction)
    return w.say(f"plan.evidence_{evidence.near}", n=evidence.measurements, engine=evidence.engine, error=error)


def owed(w: Words, rest: Rest) -> str:
    """What is owed to a calibration, and how far the question lies from what was measured."""
    model = rest.model.split("/")[-1]
    said = w.say(f"calibrate.rests_{rest.kinship}", n=rest.points, model=model, gpu=rest.gpu)
    if rest.kinship in ("engine", "other"):
        return said
    far = "calibrate.inside" if rest.outside < 1.1 else "calibrate.outside"
    return f"{said} {w.say(far, times=w.number(rest.outside, 1))}"


def _infeasible(w: Words, plan: Plan) -> list[str]:
    names = (w.say("infeasible.way"), w.say("plan.constraint"), w.say("plan.needed"), w.say("infeasible.best"))
    rows = [names]
    for refused in plan.rejected[:14]:
        name = w.say(f"constraint.{refused.constraint.value}")
        amounts = (w.quantity(refused.needed, refused.unit), w.quantity(refused.available, refused.unit))
        rows.append((cut(refused), name, *(amounts if refused.constraint is not Constraint.SUPPORT else ("", ""))))
    table = [f"  {fit(way, 31):<32}{name:<13}{need:>16}{best:>16}".rstrip() for way, name, need, best in rows]
    title = paragraph(w.say("infeasible.title", model=plan.scenario.model.id), "")
    return [*title, "", *table, "", *(line for text in nearest_said(w, plan) for line in paragraph(text, "  "))]


def nearest_said(w: Words, plan: Plan) -> list[str]:
    """Each change of the promise, the format or the purchase that would do."""
    changes = [
        w.say(f"infeasible.{c['constraint']}", value=w.quantity(c["value"], c["unit"]), way=c["way"])
        for c in nearest_changes(plan)
    ]
    return [w.say("infeasible.nearest", change=change) for change in changes or [w.say("infeasible.support")]]


def paragraph(text: str, start: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=start, subsequent_indent=" " * max(2, len(start)), break_on_hyphens=False)


def fit(name: str, width: int) -> str:
    """A name within its column."""
    return name if len(name) <= width else name[: max(0, width - 1)] + "…"


def error_lines(error: InfraScaleError) -> list[str]:
    """What, why, fix, in the reader's language."""
    try:
        w = words()
    except InfraScaleError:  # the language itself is what is wrong
        w = words("en")
    labelled = [(w.say("error.why"), w.told(error.why)), (w.say("error.fix"), w.told(error.fix))]
    told = [*paragraph(w.told(error.what), "")]
    for label, text in labelled:
        told += [line for part in text.splitlines() for line in paragraph(f"{label} {part}", "  ")]
    return told
