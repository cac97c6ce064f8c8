"""The decision report: a plan as two to four pages for those who sign.

In: Plan, its question, a language, a format.    Out: files by name. facts computes, sections writes, figures draws,
one module a format puts it on paper. No number is typed here: each comes from the plan, the catalog or a source.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from infrascale.economics.market import Market
from infrascale.errors import ExportError
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.report.blocks import Block, Paper
from infrascale.report.learnt import Own

FORMATS = ("html", "md", "pdf")


def report(
    plan: Plan,
    asked: Question,
    *,
    language: str,
    to: str,
    name: str,
    on: date,
    market: Market | None = None,
    own: Own | None = None,
    more: Iterable[Block] = (),
    again: str | None = None,
) -> dict[str, str | bytes]:
    """The report's files: one, and for Markdown its figures beside it. `name`: the file's, with its ending.

    `market`: prices and site; without one the report says nothing of cost and carbon. `own`: the load tests that the
    plan rests on. `more`: sections after that on cost. `again`: the command that makes this report of a saved plan.
    """
    from infrascale.report.sections import sections

    return written(sections(plan, asked, language, on, market, own, tuple(more), again), to, name)


def written(paper: Paper, to: str, name: str) -> dict[str, str | bytes]:
    """A paper in one format."""
    from infrascale.report import html, markdown, pdf

    if to not in FORMATS:
        raise ExportError(f"no format {to[:20]!r}", why="nothing writes it", fix=f"--to {', '.join(FORMATS)}")
    if to == "md":
        return markdown.render(paper, name, Path(name).stem)
    return {name: html.render(paper) if to == "html" else pdf.render(paper)}
