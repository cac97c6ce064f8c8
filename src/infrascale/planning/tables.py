"""Tables that outlive a question: plans of a sweep that differ in promise, demand or price share what they computed.

In: Scenario, Deployment, Efficiency.    Out: a Judge with the tables of that deployment under that workload.
Idea: the search for the largest load within a promise starts at the same points whatever the demand, so a question
that differs only in its users finds nearly every point computed. Bounded: the tables longest unused are dropped, and a
table that grew too long starts anew. Equal answers: a table holds nothing that the promise or the demand decides.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from infrascale.deployment import Deployment
from infrascale.hardware import Efficiency
from infrascale.planning.evaluate import Judge, Tables
from infrascale.planning.scenario import Scenario

MOST_TABLES = 128
MOST_POINTS = 4096  # of one table: about 4 MB


class Judges:
    """Makes Judges, as `Judge(...)` does, that remember; for one process and one thread."""

    def __init__(self) -> None:
        self._tables: OrderedDict[Hashable, tuple[Efficiency, Tables]] = OrderedDict()

    def __call__(self, *, scenario: Scenario, deployment: Deployment, efficiency: Efficiency) -> Judge:
        key = (deployment, scenario.workload, scenario.arrival_cv)
        known, tables = self._tables.get(key, (efficiency, Tables()))
        if known != efficiency or len(tables.means) + len(tables.spreads) > MOST_POINTS:
            tables = Tables()
        self._tables[key] = (efficiency, tables)
        self._tables.move_to_end(key)
        if len(self._tables) > MOST_TABLES:
            self._tables.popitem(last=False)
        return Judge(scenario=scenario, deployment=deployment, efficiency=efficiency, tables=tables)
