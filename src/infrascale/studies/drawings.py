"""Decisions as drawings: what the ways of a plan cost against how fast they answer; where hosting overtakes an API.

In: Costing, Words.    Out: SVG.
"""

from __future__ import annotations

from infrascale.locales import Words
from infrascale.planning import Objective
from infrascale.report import figures
from infrascale.screen.record import cut
from infrascale.studies.costing import Costing


def frontier(found: Costing, w: Words) -> str:
    """Every way: its month's cost (its energy, where one has no price) against its speed; full where none beats it."""
    priced = [one.bill for one in found.options if one.bill]
    by_cost = len(priced) == len(found.options)
    score = Objective.COST if by_cost else Objective.ENERGY
    label = (
        w.say("decision.axis_cost", currency=priced[0].per_month.currency) if by_cost else w.say("decision.axis_kwh")
    )
    points = [
        figures.Way(
            name=f"{one.candidate.gpus} × {cut(one.candidate)}",
            x=one.score(score),
            y=one.candidate.performance.token_per_s_per_request,
            on_front=one in found.pareto,
        )
        for one in found.options
    ]
    return figures.frontier(points, label, w.say("decision.axis_speed"), w)


def break_even(found: Costing, w: Words) -> str:
    """Hosting as the band between its ends and the API as a line, over users."""
    assert found.break_even is not None and found.against is not None
    curve = [point for point in found.break_even.curve if point.own[0]]
    ends = [(p.own[0].amount, p.own[1].amount if p.own[1] else None) for p in curve if p.own[0]]
    return figures.band(
        [point.users for point in curve],
        ends,
        [point.api.middle.amount for point in curve],
        (w.say("decision.users"), w.say("decision.axis_cost", currency=found.market.currency)),
        (w.say("decision.hosting"), f"{found.against.provider}/{found.against.model}"),
        w,
    )
