"""The report of a question that has no answer: what was asked, what stops each way, what would do instead.

In: an infeasible Plan, its question, a language, a day.    Out: Paper, of one page.
"""

from __future__ import annotations

from datetime import date

from infrascale.locales import Words
from infrascale.locales import words as speech
from infrascale.parsing.plans import command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Constraint, Plan, Rejection
from infrascale.report.answer import asked_of, demand, paper
from infrascale.report.blocks import Answer, Bullets, Code, Heading, Paper, Table, Text
from infrascale.screen import cut, nearest_said

MOST_WAYS = 14


def refused(found: Plan, asked: Question, language: str, on: date, calibration: str | None = None) -> Paper:
    words, promise = speech(language), found.scenario.promise
    ways = found.rejected[:MOST_WAYS]
    tiles = (
        (words.say("report.figure_speed"), words.short(promise.token_per_s), words.say("report.asked")),
        (words.say("report.figure_ttft"), words.quantity(promise.ttft_s, "s"), words.say("report.asked")),
        (words.say("report.figure_ways"), words.number(len(found.rejected)), words.say("report.none_keeps")),
    )
    header = (words.say("report.o_way"), *(words.say(f"report.c_{key}") for key in ("constraint", "needed", "best")))
    blocks = (
        Answer(text=f"**{words.say('infeasible.title', model=found.scenario.model.id)}**", figures=tiles),
        Heading(text=words.say("report.h_question")),
        Bullets(items=(words.say("report.q_demand_only", demand=demand(asked, words).capitalize()),
                       *asked_of(found, words))),
        Heading(text=words.say("report.h_refused")),
        Table(header=header, rows=tuple(_row(one, words) for one in ways), numeric=frozenset({2, 3})),
        Heading(text=words.say("report.h_nearest")),
        Bullets(items=tuple(f"{text[:1].upper()}{text[1:]}." for text in nearest_said(words, found))),
        Heading(text=words.say("report.h_again")),
        Text(text=words.say("report.again")),
        Code(text=command(asked, found.solver, calibration)),
    )  # fmt: skip
    return paper(found, asked, words, on, blocks)


def _row(one: Rejection, words: Words) -> tuple[str, ...]:
    amounts = (words.quantity(one.needed, one.unit), words.quantity(one.available, one.unit))
    name = words.say(f"report.constraint.{one.constraint.value}")
    return (cut(one), name, *(("", "") if one.constraint is Constraint.SUPPORT else amounts))
