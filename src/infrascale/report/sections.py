"""The report, section by section, as blocks in one language.

In: Plan, question, language, date.    Out: Paper. An infeasible plan is reported with what came nearest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from math import ceil
from shlex import quote

from infrascale.calibration.planned import intervals_of
from infrascale.certainty import Certainty, certainty
from infrascale.deployment import ENGINE_NAMES
from infrascale.economics import HOURLY, Bill
from infrascale.economics.decision import Option, pareto
from infrascale.economics.market import Market
from infrascale.errors import ExportError
from infrascale.exports.serving import plan_hash
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.locales import words as speech
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.plans import VERSION, command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Check, Constraint, Objective, Plan, Rejection
from infrascale.report import facts, figures
from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text
from infrascale.report.costs import cost, priced_ways, thousands
from infrascale.report.learnt import Own, learnt
from infrascale.screen import cut
from infrascale.units import GIB

#: A promise with less slack than this is called tight.
TIGHT = 0.1
MOST_OTHERS = 6
FEWEST_DRAWN = 3  # ways that are worth a drawing


def sections(
    found: Plan,
    asked: Question,
    language: str,
    on: date,
    market: Market | None = None,
    own: Own | None = None,
) -> Paper:
    words, best = speech(language), found.best
    if best is None:
        raise ExportError(
            "an infeasible plan has no decision to report",
            why="no number of these GPUs keeps the promise",
            fix=f"{command(asked, found.solver)} names the nearest change",
        )
    names = {"version": VERSION, "hash": plan_hash(found, asked)}
    law, spreads = efficiency(), None
    if own is not None:
        law = own.taught.efficiency(law, best.deployment.gpu, found.scenario.model, best.deployment.engine.name)
        spreads = intervals_of(own.taught, found.scenario, best, efficiency())
    sure = certainty(found, law, spreads)
    assert sure is not None  # the plan is feasible
    ways = priced_ways(found, market) if market else []
    blocks = (
        answer(found, best, asked, sure, words, ways[0].bill if ways else None),
        *question(found, best, asked, words),
        *why(found, best, words, law),
        *growth(found, best, asked, words, law),
        *moves(found, best, asked, words, law),
        *others(found, best, words, ways),
        *(cost(found, ways[0], market, on, words) if market else ()),
        *memory(best, words),
        *risks(found, best, sure, words),
        *evidence(best, sure, words, own is not None),
        *(learnt(own.taught, found, best, words) if own is not None else ()),
        *assumptions(found, best, asked, words),
        Heading(text=words.say("report.h_again")),
        Text(text=words.say("report.again")),
        Code(text=command(asked, found.solver) + (f" --calibration {quote(own.file)}" if own else "")),
    )
    return Paper(
        language=language,
        title=words.say("report.title", model=found.scenario.model.id),
        subtitle=words.say("report.subtitle", on=words.date(on), **names),
        footer=words.say("report.footer", **names),
        blocks=blocks,
    )


def demand(asked: Question, words: Words) -> str:
    key, value = facts.demand_of(asked)
    return words.say(f"report.demand_{key}", n=words.short(value))


def in_flight(best: Candidate) -> float:
    """Requests in flight at the peak, over all replicas that the plan needs."""
    return best.load * best.max_batch * best.replicas


def replicas_a_server(best: Candidate) -> int:
    """Whole replicas that a server holds; at least one of a replica that spans several."""
    return max(1, best.deployment.gpu.gpus_per_server // best.gpus_per_replica)


def servers_of(best: Candidate) -> int:
    """Servers that hold all replicas, none cut between servers without need."""
    spanned = ceil(best.gpus_per_replica / best.deployment.gpu.gpus_per_server)
    return ceil((best.replicas + best.spare_replicas) / replicas_a_server(best)) * spanned


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
    servers = words.say("report.servers", n=servers_of(best))
    speed, ttft = performance.token_per_s_per_request, performance.ttft_s.mean_s
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
                words.say("report.promised", value=words.short(promise.token_per_s)),
            ),
            (
                words.say("report.figure_ttft"),
                words.quantity(ttft, "s"),
                words.say("report.promised", value=f"{words.short(promise.ttft_s)} s"),
            ),
            (
                words.say("report.figure_room"),
                words.number(in_flight(best)),
                words.say("report.room_of", value=words.number(room.available)),
            ),
            *([_month(bill, words)] if bill else []),
        ),
    )


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


def question(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    scenario, load = found.scenario, found.scenario.workload
    lines = [
        words.say("report.q_demand", demand=demand(asked, words).capitalize(), requests=words.number(in_flight(best)))
    ]
    if scenario.requests_per_user_is_assumed and scenario.requests_per_user:
        lines[0] += " " + words.say("report.q_assumed", share=words.number(scenario.requests_per_user, 3))
    if asked.agents is not None and asked.requests_per_day is not None:
        lines[0] += " " + words.say(
            "report.q_agents",
            adoption=words.percent(asked.adoption),
            requests=words.short(asked.requests_per_day),
            peak=words.percent(asked.peak_hour),
        )
    if asked.think_s is not None:
        lines[0] += " " + words.say("report.q_think", think=words.short(asked.think_s))
    if scenario.headroom_fraction:
        lines[0] += " " + words.say("report.q_headroom", share=words.percent(scenario.headroom_fraction))
    lines.append(words.say("report.q_request", isl=words.number(load.isl_tokens), osl=words.number(load.osl_tokens)))
    if load.prefix_hit_fraction:
        lines[-1] += " " + words.say("report.q_prefix", share=words.percent(load.prefix_hit_fraction))
    promise = scenario.promise
    lines.append(
        words.say("report.q_promise", speed=words.short(promise.token_per_s), ttft=words.short(promise.ttft_s))
    )
    engine = best.deployment.engine
    kinds = ", ".join(gpu.name for gpu in scenario.gpus[:6]) + (" …" if len(scenario.gpus) > 6 else "")
    precisions = ", ".join(scenario.precisions) or scenario.model.native.precision
    lines.append(
        words.say(
            "report.q_hardware",
            gpus=kinds,
            model=scenario.model.id,
            precision=precisions,
            engine=ENGINE_NAMES[engine.name] + (f" {engine.version}" if engine.version else ""),
        )
    )
    yield Heading(text=words.say("report.h_question"))
    yield Bullets(items=tuple(lines))


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
                "report.fewer" if needed != available else "report.fewer_barely",
                gpus=words.number(best.gpus - best.gpus_per_replica),
                name=words.say(f"report.constraint.{check.constraint.value}"),
                needed=needed,
                available=available,
            )
        )
    elif best.replicas == 1:
        yield Text(text=words.say("report.alone", name=words.say(f"report.constraint.{best.binds.value}")))


def growth(found: Plan, best: Candidate, asked: Question, words: Words, law: Efficiency) -> Iterator[Block]:
    key, value = facts.demand_of(asked)
    steps, points = facts.staircase(found, best, law=law), facts.load_curve(found, best, law)
    axis, promise = words.say(f"axis.{key}"), found.scenario.promise
    size = words.quantity(best.gpus_per_replica, "gpus")
    yield Heading(text=words.say("report.h_growth"))
    yield Figure(
        name="steps",
        svg=figures.staircase(steps, value, best.gpus, axis, words),
        caption=words.say("report.f_steps", gpu=best.deployment.gpu.name, size=size),
        alt=words.say(
            "report.f_steps_alt",
            low=steps[0][1], x_low=words.short(steps[0][0] * value), gpus=best.gpus, x=words.short(value),
            high=steps[-1][1], x_high=words.short(steps[-1][0] * value), axis=axis,
        ),
    )  # fmt: skip
    half, whole, double = (points[round(s * 20) - 1] for s in (0.5, 1.0, 2.0))
    yield Figure(
        name="load",
        svg=figures.load(points, promise.ttft_s, promise.token_per_s, words),
        caption=words.say("report.f_load"),
        alt=words.say(
            "report.f_load_alt",
            ttft_half=words.number(half.ttft_s, 2), speed_half=words.number(half.token_per_s, 1),
            ttft=words.number(whole.ttft_s, 2), speed=words.number(whole.token_per_s, 1),
            ttft_double=words.number(double.ttft_s, 2), speed_double=words.number(double.token_per_s, 1),
            promise_ttft=words.short(promise.ttft_s), promise_speed=words.short(promise.token_per_s),
        ),
    )  # fmt: skip
    yield Text(text=words.say("axis.breaks_at", share=words.percent(facts.holds_up_to(found, best, law))))


def moves(found: Plan, best: Candidate, asked: Question, words: Words, law: Efficiency) -> Iterator[Block]:
    def gpus(n: int | None) -> str:
        return words.say("report.s_none") if n is None else words.number(n)

    rows = [
        (words.say(f"input.{m.key}"), gpus(m.less), gpus(best.gpus), gpus(m.more))
        for m in facts.sensitivity(found, asked, law)
    ]
    yield Heading(text=words.say("report.h_moves"))
    size = words.quantity(best.gpus_per_replica, "gpus")
    yield Text(text=words.say("report.s_note", gpu=best.deployment.gpu.name, size=size))
    yield Table(
        header=tuple(words.say(f"report.s_{key}") for key in ("input", "less", "asked", "more")),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3}),
    )


def way(one: Candidate | Rejection) -> str:
    return f"{one.deployment.gpu.name}, {one.deployment.shard}, {one.deployment.quantization.precision}"


def drawn(ways: Sequence[Option], words: Words) -> Figure:
    """What the ways cost against how fast they answer."""
    priced = [(one, one.bill.per_month.middle) for one in ways if one.bill]
    front = pareto([one for one, _ in priced])
    points = [
        figures.Way(
            name=f"{words.number(one.candidate.gpus)} × {cut(one.candidate)}",
            x=price.amount,
            y=one.candidate.performance.token_per_s_per_request,
            on_front=one in front,
        )
        for one, price in priced
    ]
    currency = priced[0][1].currency
    listed = [f"{p.name}, {words.number(p.x)}, {words.number(p.y, 1)}" for p in points]
    return Figure(
        name="ways",
        svg=figures.frontier(points, words.say("decision.axis_cost", currency=currency),
                             words.say("report.axis_speed"), words),
        caption=words.say("report.f_ways"),
        alt=words.say("report.f_ways_alt", currency=currency, points=words.say("report.separator").join(listed)),
    )  # fmt: skip


def others(found: Plan, best: Candidate, words: Words, ways: Sequence[Option] = ()) -> Iterator[Block]:
    """The ways that keep the promise; `ways`: the same with their cost, in the same order."""
    priced = any(one.bill for one in ways)
    columns = ("gpus", "way", "replicas", "speed", "ttft", *(["month", "binds"] if priced else ["limit"]))
    currency = next((one.bill.per_month.currency for one in ways if one.bill), None)

    def row(index: int, one: Candidate) -> tuple[str, ...]:
        bill = ways[index].bill if priced else None
        return (
            words.number(one.gpus),
            way(one),
            words.number(one.replicas + one.spare_replicas),
            words.number(one.performance.token_per_s_per_request, 1),
            words.quantity(one.performance.ttft_s.mean_s, "s"),
            *([thousands(bill.per_month, words) if bill else "–"] if priced else []),
            words.say(f"constraint.{one.binds.value}") if priced else words.say(f"report.constraint.{one.binds.value}"),
        )

    yield Heading(text=words.say("report.h_others"))
    if found.others:
        yield Table(
            header=tuple(words.say(f"report.o_{key}", currency=currency) for key in columns),
            rows=tuple(row(index, one) for index, one in enumerate((best, *found.others[:MOST_OTHERS]))),
            numeric=frozenset({0, 2, 3, 4, *([5] if priced else [])}),
            strong=frozenset({0}),
        )
        if priced and len(ways) >= FEWEST_DRAWN:
            yield drawn(ways, words)
    else:
        yield Text(text=words.say("report.o_none"))
    if found.rejected:
        listed = [
            words.say(
                "report.o_refused_one",
                way=way(one),
                name=words.say(f"report.constraint.{one.constraint.value}"),
                needed=words.quantity(one.needed, one.unit),
                available=words.quantity(one.available, one.unit),
            )
            for one in found.rejected[:3]
        ]
        yield Text(
            text=words.say(
                "report.o_refused",
                list=words.say("report.separator").join(listed) + ("…" if len(found.rejected) > 3 else "."),
            )
        )


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


def risks(found: Plan, best: Candidate, sure: Certainty, words: Words) -> Iterator[Block]:
    scenario, deployment = found.scenario, best.deployment
    lines = []
    tight = min(
        (c for c in best.checks if c.constraint in (Constraint.THROUGHPUT, Constraint.WAIT)),
        key=lambda check: check.slack_fraction,
    )
    if tight.slack_fraction < TIGHT:
        lines.append(
            words.say(
                "report.r_slack",
                name=words.say(f"report.constraint.{tight.constraint.value}"),
                slack=words.percent(tight.slack_fraction),
            )
        )
    if sure.high_gpus and sure.high_gpus > best.gpus:
        lines.append(words.say("report.r_sure", high=words.quantity(sure.high_gpus, "gpus")))
    if scenario.requests_per_user_is_assumed and scenario.users:
        lines.append(words.say("report.r_assumed"))
    if not best.spare_replicas:
        left = max(0.0, 1 - replicas_a_server(best) / best.replicas)
        lines.append(words.say("report.r_spare", share=words.percent(left)))
    if best.gpus_per_replica > deployment.gpu.gpus_per_server:
        lines.append(words.say("report.r_pipeline"))
    if deployment.quantization.precision != scenario.model.native.precision:
        lines.append(words.say("report.r_format", precision=deployment.quantization.precision))
    lines += [words.say("report.r_mean"), words.say("report.r_measured")]
    yield Heading(text=words.say("report.h_risks"))
    yield Bullets(items=tuple(lines))


def evidence(best: Candidate, sure: Certainty, words: Words, own: bool) -> Iterator[Block]:
    vendor = best.deployment.gpu.vendor
    yield Heading(text=words.say("report.h_evidence"))
    text = words.say("report.e_model")
    if vendor != "nvidia":
        text += " " + words.say("report.e_vendor", vendor=vendor.upper() if vendor == "amd" else vendor.capitalize())
    yield Text(text=text)
    if sure.low_gpus and sure.high_gpus:
        yield Text(
            text=words.say(
                "report.e_sure",
                confidence=words.percent(sure.confidence_fraction),
                low_speed=words.number(sure.token_per_s[0], 1),
                high_speed=words.number(sure.token_per_s[1], 1),
                low_ttft=words.quantity(sure.ttft_s[0], "s"),
                high_ttft=words.quantity(sure.ttft_s[1], "s"),
                low=words.quantity(sure.low_gpus, "gpus"),
                high=words.quantity(sure.high_gpus, "gpus"),
            )
        )
    near = sure.evidence
    if own:
        return
    if near is None:
        yield Text(text=words.say("report.e_near_none"))
    else:
        error = words.percent(near.error_fraction)
        yield Text(text=words.say(f"report.e_near_{near.near}", n=words.number(near.measurements), error=error))


def assumptions(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    deployment = best.deployment
    gpu, engine, model = deployment.gpu, deployment.engine, deployment.model

    def source(key: str) -> str:
        one = gpu.sources.get(key)
        return f"{words.say(f'report.src_{one.kind}')}, {one.at} ({one.checked or one.entered})" if one else ""

    dtype = next((d for d in (deployment.quantization.precision, "bf16", "fp16") if d in gpu.flop_per_s), "fp32")
    rows = [
        (words.say("report.a_hbm", gpu=gpu.name), words.quantity(gpu.hbm_bytes, "bytes"), source("hbm_bytes")),
        (
            words.say("report.a_bandwidth", gpu=gpu.name),
            words.say("report.terabytes_per_s", n=words.number(gpu.hbm_bytes_per_s / 1e12, 2)),
            source("hbm_bytes_per_s"),
        ),
        (
            words.say("report.a_flops", gpu=gpu.name, dtype=dtype),
            f"{words.number(gpu.flop_per_s[dtype] / 1e12)} TFLOP/s",
            source("flop_per_s"),
        ),
    ]
    if best.gpus_per_replica > 1:
        speed = words.say("report.gigabytes_per_s", n=words.number(gpu.link.bytes_per_s / 1e9))
        rows.append((words.say("report.a_link", gpu=gpu.name), speed, source("link")))
    rows.append(
        (
            words.say("report.a_model"),
            words.say("report.a_params", n=words.number(model.params / 1e9, 1)),
            _model_source(asked, words),
        )
    )
    values = words.say(
        "report.a_engine_value",
        seqs=words.number(best.max_batch),
        tokens=words.number(engine.max_num_batched_tokens),
        share=words.percent(engine.gpu_memory_utilization),
    )
    rows.append((words.say("report.a_engine"), values, "vLLM 0.33.0, vllm/engine/arg_utils.py (2026-11-24)"))
    if found.scenario.requests_per_user_is_assumed:
        rows.append((words.say("report.a_users"), words.number(0.4, 1), "llm-d-planner 0.3.3 (2026-11-24)"))
    yield Heading(text=words.say("report.h_assumptions"))
    yield Table(
        header=tuple(words.say(f"report.a_{k}") for k in ("what", "value", "source")), rows=tuple(rows), fine=True
    )


def _model_source(asked: Question, words: Words) -> str:
    from infrascale import catalog
    from infrascale.errors import CatalogError

    try:
        _, entry = catalog.find("models", asked.model)
    except CatalogError:
        return words.say("report.src_user")
    one = entry.get("sources", {}).get("config")
    return (
        f"{words.say('report.src_published')}, {one['at']} ({one.get('checked') or one.get('entered')})" if one else ""
    )
