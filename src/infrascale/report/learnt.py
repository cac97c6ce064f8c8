"""What load tests of one's own taught a plan, for the evidence of its report.

In: Calibration, the plan.    Out: blocks: what the answer owes to it, and each multiplier with its interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, sqrt

from infrascale.calibration.own import NAMES, Z_90, Calibration
from infrascale.calibration.planned import rest_of
from infrascale.locales import Words
from infrascale.planning import Candidate, Plan
from infrascale.report.blocks import Block, Table, Text
from infrascale.screen import owed


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Load tests that a plan rests on, and the file that they are kept in."""

    taught: Calibration
    file: str


def learnt(own: Calibration, found: Plan, best: Candidate, words: Words) -> Iterator[Block]:
    spans = ", ".join(f"{key} {words.short(low)} … {words.short(high)}" for key, (low, high) in own.region.items())
    yield Text(text=f"{owed(words, rest_of(own, found.scenario, best))} {words.say('report.e_own', spans=spans)}")
    rows = []
    for index, name in enumerate(NAMES):
        middle, spread = own.multipliers[index], Z_90 * sqrt(own.covariance[index][index])
        ends = f"{words.number(exp(middle - spread), 2)} … {words.number(exp(middle + spread), 2)}"
        rows.append((words.say(f"calibrate.{name}"), words.number(exp(middle), 2), ends))
    header = tuple(words.say(f"calibrate.{key}") for key in ("learnt", "times", "interval"))
    yield Table(header=header, rows=tuple(rows), numeric=frozenset({1, 2}), fine=True)
