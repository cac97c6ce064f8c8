"""The report, section by section, as blocks in one language: their order; what each says stands in its own module.

In: Plan, question, language, date.    Out: Paper. An infeasible plan has none.
"""

from __future__ import annotations

from datetime import date

from infrascale.calibration.planned import intervals_of
from infrascale.certainty import certainty
from infrascale.economics.market import Market
from infrascale.errors import ExportError
from infrascale.locales import words as speech
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.plans import command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.report.alternatives import growth, moves, others
from infrascale.report.answer import answer, memory, paper, question, why
from infrascale.report.blocks import Block, Code, Heading, Paper, Text
from infrascale.report.costs import cost, priced_ways
from infrascale.report.evidence import assumptions, evidence, risks
from infrascale.report.learnt import Own, learnt


def sections(
    found: Plan,
    asked: Question,
    language: str,
    on: date,
    market: Market | None = None,
    own: Own | None = None,
    more: tuple[Block, ...] = (),
    again: str | None = None,
) -> Paper:
    words, best = speech(language), found.best
    if best is None:
        raise ExportError(
            "an infeasible plan has no decision to report",
            why="no number of these GPUs keeps the promise",
            fix=f"{command(asked, found.solver)} names the nearest change",
        )
    law, spreads = efficiency(), None
    if own is not None:
        law = own.taught.efficiency(law, best.deployment.gpu, found.scenario.model, best.deployment.engine.name)
        spreads = intervals_of(own.taught, found.scenario, best, efficiency())
    sure = certainty(found, law, spreads)
    assert sure is not None  # the plan is feasible
    ways = priced_ways(found, market, law) if market else []
    blocks = (
        answer(found, best, asked, sure, words, ways[0].bill if ways else None),
        *question(found, best, asked, words),
        *why(found, best, words, law),
        *growth(found, best, asked, words, law),
        *moves(found, best, asked, words, law),
        *others(found, best, words, ways),
        *(cost(found, ways[0], market, on, words) if market else ()),
        *more,
        *memory(best, words),
        *risks(found, best, sure, words, own is not None),
        *evidence(best, sure, words, own is not None),
        *(learnt(own.taught, found, best, words) if own is not None else ()),
        *assumptions(found, best, asked, words),
        Heading(text=words.say("report.h_again")),
        Text(text=words.say("report.again")),
        Code(text=command(asked, found.solver, own.file if own else None)),
        *((Text(text=words.say("report.again_report")), Code(text=again)) if again else ()),
    )
    return paper(found, asked, words, on, blocks)
