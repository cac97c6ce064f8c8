"""The report's sections on the answer: what it is, what was asked, what holds it there, what fills a GPU.

In: Plan, its question, how sure it is.    Out: blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import isinf

from infrascale.certainty import Certainty
from infrascale.deployment import ENGINE_NAMES
from infrascale.economics import HOURLY, Bill
from infrascale.exports.serving import plan_hash
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.parsing.plans import VERSION
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Check, Constraint, Objective, Plan
from infrascale.report import facts, figures
from infrascale.report.blocks import Answer, Block, Bullets, Figure, Heading, Paper, Table, Text
from infrascale.report.costs import thousands
from infrascale.units import GIB


def paper(found: Plan, asked: Question, words: Words, on: date, blocks: tuple[Block, ...]) -> Paper:
    """The blocks under the title, the day and the version that every report of a plan carries."""
    names = {"version": VERSION, "hash": plan_hash(found, asked)}
    return Paper(
        language=words.language,
        title=words.say("report.title", model=found.scenario.model.id),
        subtitle=words.say("report.subtitle", on=words.date(on), **names),
        footer=words.say("report.footer", **names),
        blocks=blocks,
    )


def answer(
    found: Plan, best: Candidate, asked: Question, sure: Certainty, words: Words, bill: Bill | None = None
) -> Answer:
    gpu, performance, promise = best.deployment.gpu, best.performance, found.scenario.promise
    replicas = best.replicas + best.spare_replicas
    text = words.say(
        "report.answer",
        gpus=words.number(best.gpus),
        gpu=gpu.name,
        demand=demand(asked, words),
        replicas=words.quantity(replicas, "replicas"),
        size=words.quantity(best.gpus_per_replica, "gpus"),
        spare=words.say("report.spare", spare=words.number(best.spare_replicas)) if best.spare_replicas else "",
    )
    proof = words.say("report.proof_exact")
    if found.objective is not Objective.GPUS:
        proof = words.say("report.proof_by", n=1 + len(found.others), by=words.say(f"plan.by_{found.objective.value}"))
    if found.solver != "exact":
        proof = words.say("report.proof_search", excess=words.percent(found.excess_fraction))
    servers = words.say("report.servers", n=facts.servers_of(best))
    speed, ttft = 1 / promise.tpot_of(performance), promise.ttft_of(performance)
    room = next(check for check in best.checks if check.constraint is Constraint.CAPACITY)
    return Answer(
        text=f"{text} {proof} {_sure(sure, words)}",
        figures=(
            (
                words.say("report.figure_gpus"),
                words.number(best.gpus),
                words.say("report.figure_servers", n=servers, of=gpu.gpus_per_server),
            ),
            (
                words.say("report.figure_speed"),
                words.number(speed, 1),
                _promised(words.short(promise.token_per_s), promise.speed_share, words),
            ),
            (
                words.say("report.figure_ttft"),
                words.quantity(ttft, "s"),
                _promised(f"{words.short(promise.ttft_s)} s", promise.ttft_share, words),
            ),
            (
                words.say("report.figure_room"),
                words.number(facts.in_flight(best)),
                words.say("report.room_of", value=words.number(room.available)),
            ),
            *([_month(bill, words)] if bill else []),
        ),
    )


def _promised(value: str, share: float | None, words: Words) -> str:
    """What the figure above it was promised to be, and to how many where not as a mean."""
    if share is None:
        return words.say("report.promised", value=value)
    return words.say("report.promised_share", value=value, share=words.percent(share))


def _month(bill: Bill, words: Words) -> tuple[str, str, str]:
    """The month's cost in thousands, and how it is paid."""
    kind, month = "rented" if bill.offer in HOURLY else "bought", bill.per_month
    return (
        words.say("report.figure_month", currency=month.currency),
        thousands(month, words),
        words.say(f"report.{kind}"),
    )


def _sure(sure: Certainty, words: Words) -> str:
    """Between which numbers of GPUs the need lies."""
    values = {"confidence": words.percent(sure.confidence_fraction), "low": words.number(sure.low_gpus or 0)}
    if sure.high_gpus is None:
        return words.say("report.sure_open", **values)
    return words.say("report.sure", **values, high=words.number(sure.high_gpus))


def demand(asked: Question, words: Words) -> str:
    key, value = facts.demand_of(asked)
    return words.say(f"report.demand_{key}", n=words.short(value))


def _who(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[str]:
    """Who asks, and how the requests in flight follow from them."""
    scenario, requests = found.scenario, words.number(facts.in_flight(best))
    yield words.say("report.q_demand", demand=demand(asked, words).capitalize(), requests=requests)
    if scenario.habit_is_assumed and scenario.requests_per_user_hour:
        yield words.say("report.q_assumed", hourly=words.short(scenario.requests_per_user_hour))
    if asked.agents is not None and asked.requests_per_day is not None:
        yield words.say(
            "report.q_agents",
            adoption=words.percent(asked.adoption),
            requests=words.short(asked.requests_per_day),
            peak=words.percent(asked.peak_hour),
        )
    if asked.think_s is not None:
        yield words.say("report.q_think", think=words.short(asked.think_s))
    if scenario.headroom_fraction:
        yield words.say("report.q_headroom", share=words.percent(scenario.headroom_fraction))


def question(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    yield Heading(text=words.say("report.h_question"))
    yield Bullets(items=(" ".join(_who(found, best, asked, words)), *asked_of(found, words)))


def asked_of(found: Plan, words: Words) -> Iterator[str]:
    """What a request is, what was promised, and which models and cards were looked at."""
    scenario, load, promise = found.scenario, found.scenario.workload, found.scenario.promise
    lines = [words.say("report.q_request", isl=words.number(load.isl_tokens), osl=words.number(load.osl_tokens))]
    if load.isl_cv or load.osl_cv:
        spread = {"isl": words.percent(load.isl_cv), "osl": words.percent(load.osl_cv)}
        lines.append(words.say("report.q_spread", **spread))
    if load.prefix_hit_fraction:
        lines.append(words.say("report.q_prefix", share=words.percent(load.prefix_hit_fraction)))
    yield " ".join(lines)
    speed = _kept("speed", promise.token_per_s, promise.speed_share, words)
    ttft = _kept("ttft", promise.ttft_s, promise.ttft_share, words)
    yield words.say("report.q_promise", speed=speed, ttft=ttft)
    knobs = scenario.knobs
    kinds = ", ".join(gpu.name for gpu in scenario.gpus[:6]) + (" …" if len(scenario.gpus) > 6 else "")
    yield words.say(
        "report.q_hardware",
        gpus=kinds,
        model=scenario.model.id,
        precision=", ".join(scenario.precisions) or scenario.model.native.precision,
        engine=ENGINE_NAMES[knobs.engine] + (f" {knobs.version}" if knobs.version else ""),
    )


def _kept(what: str, value: float, share: float | None, words: Words) -> str:
    """One promise in words: a mean, or what a share of the requests may count on."""
    if share is None:
        return words.say(f"report.kept_{what}_mean", n=words.short(value))
    return words.say(f"report.kept_{what}_share", n=words.short(value), share=words.percent(share))


def why(found: Plan, best: Candidate, words: Words, law: Efficiency) -> Iterator[Block]:
    def row(check: Check) -> tuple[str, ...]:
        name = words.say(f"report.constraint.{check.constraint.value}")
        if check is best.binding:
            name = words.say("report.binds", name=name)
        return (
            name,
            words.quantity(check.needed, check.unit),
            words.quantity(check.available, check.unit),
            words.percent(check.slack_fraction),
        )

    yield Heading(text=words.say("report.h_why"))
    yield Table(
        header=tuple(words.say(f"report.c_{key}") for key in ("constraint", "needed", "available", "slack")),
        rows=tuple(row(check) for check in best.checks),
        numeric=frozenset({1, 2, 3}),
        strong=frozenset(i for i, check in enumerate(best.checks) if check is best.binding),
    )
    fewer = facts.one_fewer(found, best, law)
    if fewer:
        check = fewer[1]
        needed, available = (words.quantity(v, check.unit) for v in (check.needed, check.available))
        yield Text(
            text=words.say(
                _broken(check, needed != available),
                gpus=words.number(best.gpus - best.gpus_per_replica),
                name=words.say(f"report.constraint.{check.constraint.value}"),
                needed=needed,
                available=available,
            )
        )
    elif best.replicas == 1:
        yield Text(text=words.say("report.alone", name=words.say(f"report.constraint.{best.binds.value}")))


def _broken(check: Check, clearly: bool) -> str:
    if isinf(check.needed):
        return "report.fewer_endless"
    if not clearly:
        return "report.fewer_barely"
    return "report.fewer_queue" if check.constraint is Constraint.WAIT else "report.fewer"


def memory(best: Candidate, words: Words) -> Iterator[Block]:
    budget = best.memory
    check = next(one for one in best.checks if one.constraint is Constraint.MEMORY)
    sizes = {
        "weights": budget.weights_bytes,
        "cache": check.needed - budget.needed_bytes,
        "activations": budget.activations_bytes,
        "runtime": budget.graphs_bytes + budget.runtime_bytes,
        "free": check.available - check.needed,
        "kept": budget.reserved_bytes,
    }
    parts = [(words.say(f"report.m_{key}"), size / GIB) for key, size in sizes.items()]
    yield Heading(text=words.say("report.h_memory"))
    yield Figure(
        name="memory",
        svg=figures.memory(parts, words),
        caption=words.say("report.f_memory", total=words.number(budget.total_bytes / GIB, 1)),
        alt=words.say(
            "report.f_memory_alt", parts=", ".join(f"{name} {words.number(size, 1)}" for name, size in parts)
        ),
    )
