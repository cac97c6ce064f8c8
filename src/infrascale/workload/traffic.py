"""Requests as arrays: what a simulator is fed, whether drawn here or read from a trace.

In: arrival times, lengths, conversations.    Out: Traffic, one entry a request, in order of time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infrascale.workload.lengths import Lengths
from infrascale.workload.workload import Workload

if TYPE_CHECKING:
    import numpy as np


BUSY_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """`stream` numbers conversations (each its own where nothing is known). `follows`: the request that comes
    `think_s` after this one is answered, −1: none; that one's own `arrival_s` is then when it was or would be sent.
    `head_tokens` of its prompt are the same in every request: 0 where nothing is shared. These three, and `stream`, are
    empty where they say nothing."""

    arrival_s: np.ndarray
    isl_tokens: np.ndarray
    osl_tokens: np.ndarray
    stream: np.ndarray
    follows: np.ndarray
    think_s: np.ndarray
    head_tokens: np.ndarray

    def __len__(self) -> int:
        return len(self.arrival_s)

    def only(self, which: np.ndarray) -> Traffic:
        """Some of the requests; who follows one that is left out comes by itself, at its own time."""
        import numpy as np

        kept = np.flatnonzero(which)
        every = {name: getattr(self, name) for name in self.__dataclass_fields__}
        columns = {name: column[kept] if len(column) else column for name, column in every.items()}
        if len(self.follows):
            place = np.full(len(self) + 1, -1)
            place[kept] = np.arange(len(kept))
            columns["follows"] = place[columns["follows"]]
        return replace(self, **columns)

    @property
    def busiest_request_per_s(self) -> float:
        """Mean rate of the busiest ten minutes, or of all where it is shorter."""
        import numpy as np

        span_s = float(self.arrival_s[-1] - self.arrival_s[0]) if len(self) > 1 else 1.0
        if span_s <= BUSY_S:
            return len(self) / max(span_s, 1.0)
        later = np.searchsorted(self.arrival_s, self.arrival_s + BUSY_S)
        return float((later - np.arange(len(self))).max()) / BUSY_S

    @property
    def workload(self) -> Workload:
        """Moments of the lengths, for the analytic queue."""
        isl, osl = self.isl_tokens, self.osl_tokens
        return Workload(
            isl_tokens=float(isl.mean()),
            osl_tokens=float(osl.mean()),
            isl_cv=float(isl.std() / isl.mean()),
            osl_cv=float(osl.std() / osl.mean()),
        )

    @property
    def gap_scv(self) -> float:
        """Squared coefficient of variation of the gaps between arrivals: 1 for Poisson."""
        import numpy as np

        gaps = np.diff(self.arrival_s)
        return float(gaps.var() / gaps.mean() ** 2) if len(gaps) and gaps.mean() > 0 else 1.0


def single_turns(arrival_s: np.ndarray, isl: Lengths, osl: Lengths, rng: np.random.Generator) -> Traffic:
    """Requests that have nothing to do with each other."""
    import numpy as np

    count = len(arrival_s)
    return Traffic(
        arrival_s=arrival_s,
        isl_tokens=isl.draw(count, rng).astype(np.int32),
        osl_tokens=osl.draw(count, rng).astype(np.int32),
        stream=np.empty(0, np.int64),
        follows=np.empty(0, np.int64),
        think_s=np.empty(0),
        head_tokens=np.empty(0, np.int64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """`turns` on average (geometric, at least one): each adds a `question` to all that was said, after `think_s`
    (exponential) from the last answer. `system_tokens` stand before the first question."""

    turns: float
    question: Lengths
    answer: Lengths
    think_s: float
    system_tokens: int = 0


def conversations(starts_s: np.ndarray, habits: Conversations, rng: np.random.Generator) -> Traffic:
    """Every conversation that starts; a later turn's prompt is the whole dialogue before it and a new question.

    Its `arrival_s` assumes answers that take no time: the simulator sends it `think_s` after the answer instead.
    """
    import numpy as np

    counts = rng.geometric(1 / habits.turns, len(starts_s))
    total = int(counts.sum())
    stream = np.repeat(np.arange(len(starts_s)), counts)
    first = np.append(0, np.cumsum(counts)[:-1]) if len(counts) else np.empty(0, np.int64)
    question, answer = habits.question.draw(total, rng), habits.answer.draw(total, rng)
    said = np.cumsum(question + answer)
    before = np.repeat(said[first] - (question + answer)[first], counts)
    isl = habits.system_tokens + said - before - answer
    has_next = np.append(stream[1:] == stream[:-1], False)[:total]
    think = np.where(has_next, rng.exponential(habits.think_s, total), 0.0)
    waited = np.cumsum(think) - think
    arrival = np.repeat(starts_s - waited[first], counts) + waited
    order = np.argsort(arrival, kind="stable")
    place = np.empty(total, np.int64)
    place[order] = np.arange(total)
    following = np.where(has_next, np.append(place[1:], -1)[:total], -1)
    return Traffic(
        arrival_s=arrival[order],
        isl_tokens=isl[order],
        osl_tokens=answer[order],
        stream=stream[order],
        follows=following[order],
        think_s=think[order],
        head_tokens=np.full(total, habits.system_tokens),
    )
