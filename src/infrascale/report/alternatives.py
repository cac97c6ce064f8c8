"""The report's sections on what else could be: more demand, other inputs, the ways that also keep the promise.

In: Plan, its question, the ways with their cost.    Out: blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from infrascale.economics.decision import Option, pareto
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Plan, Rejection
from infrascale.report import facts, figures
from infrascale.report.blocks import Block, Figure, Heading, Table, Text
from infrascale.report.costs import thousands
from infrascale.screen import cut

MOST_OTHERS, MOST_REFUSED = 6, 3
FEWEST_DRAWN = 3  # ways that are worth a drawing


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
        yield Text(text=_refused(found, words))


def _refused(found: Plan, words: Words) -> str:
    """The first ways that cannot keep the promise, each with what stopped it."""
    listed = [
        words.say(
            "report.o_refused_one",
            way=way(one),
            name=words.say(f"report.constraint.{one.constraint.value}"),
            needed=words.quantity(one.needed, one.unit),
            available=words.quantity(one.available, one.unit),
        )
        for one in found.rejected[:MOST_REFUSED]
    ]
    end = "…" if len(found.rejected) > MOST_REFUSED else "."
    return words.say("report.o_refused", list=words.say("report.separator").join(listed) + end)


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


def way(one: Candidate | Rejection) -> str:
    return f"{one.deployment.gpu.name}, {one.deployment.shard}, {one.deployment.quantization.precision}"
