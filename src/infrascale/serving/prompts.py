"""Time to first token of a request that has a place: the step under way, the prompts beside it, its own prompt.

In: Step times by state, arrivals.    Out: seconds at points of the lattice.
Idea: a step carries the prompts that came during the one before, so it is the longer the more came then, and more come
during it. Prompts beyond what a step holds take steps of their own; with them it is here one long step. A request is
through when the prompts before it are, and those after it that share its last step.
Of Poisson or more regular arrivals, the step that a request interrupts is one of the stationary steps, met in
proportion to its length, and who else comes during it is independent. Bursts are followed: from a few steps before the
request, step by step, with its neighbours at the point's places in time (`counts.neighbours`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, exp, log, sqrt

from infrascale.serving.counts import chances, clumping, cumulative, neighbours, others_nearby
from infrascale.serving.lattice import deviates, lattice
from infrascale.serving.pace import Pace, Step
from infrascale.serving.routing import Arrivals

#: Coordinates of a lattice point. The neighbours of a request in a burst have 2, 4, 5 and 9.
STATE, PHASE, BESIDE, LENGTHS, UNDER_WAY, TEXTS_BEFORE, TEXTS = 0, 1, 2, 3, 5, 6, 8
#: Steps with prompts, and at most so many prompts, before the request from which bursts are followed.
STEPS_BEFORE, MOST_BEFORE = 3.0, 24


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompts at one replica under one load. `a_step`: how many one step reads beside a full batch."""

    pace: Pace
    arrivals: Arrivals
    a_step: float
    unseen_steps: float

    @property
    def _rate(self) -> float:
        return self.arrivals.request_per_s

    @cached_property
    def scv(self) -> float:
        """Of the gaps at one replica: where they act as one queue a burst is spread over all of them."""
        scv, pooled = self.arrivals.scv, self.arrivals.pooled
        return scv if scv <= 1 else 1 + (scv - 1) / pooled

    def _lasts_s(self, step: Step, prompts: float) -> float:
        """A step that carries so many prompts, or the steps that do."""
        if not prompts:
            return step.decode_s
        return step.decode_s * max(1.0, prompts / self.a_step) + step.first_s + (prompts - 1) * step.more_s

    def first_s(self, states: Sequence[int], chunks: Sequence[int], costs: Sequence[float]) -> list[float]:
        """At every lattice point, from a place to the first token, beside `states[i]` others.

        `chunks[i]`, `costs[i]`: steps that its own prompt takes, and what it costs over the mean.
        """
        follow = self._among_regular if self.scv in (0.0, 1.0) else self._step_by_step
        found: list[float] = []
        for running, start, stop in _runs(states):
            step = self.pace.at(running)
            decode_s, once_s = step.decode_s, step.first_s
            waits = follow(step, start, stop) if states[start] else [0.0] * (stop - start)
            own = zip(chunks[start:stop], costs[start:stop], waits, strict=True)
            found += [many * decode_s + once_s * cost + wait_s for many, cost, wait_s in own]
        return found

    def _stationary(self, step: Step) -> tuple[float, list[float]]:
        """Mean step, and the chances of 0, 1, … prompts in it.

        Their variance over their mean is 1 / (1 − ρ²), for a step's length varies as its prompts do, ρ = λ · a
        prompt's time, and theirs as it does. Found by turns where a step may not hold them all.
        """
        rate, room = self._rate, self.a_step
        plain_s = mean_s = step.decode_s / max(0.02, 1 - rate * step.pause_s)
        busy = rate * step.pause_s
        for _ in range(8):
            expected, busy = rate * mean_s, min(0.95, busy)
            coming = chances(expected, busy**2 / (1 - busy**2) / expected)
            if len(coming) <= room:
                break
            total = sum(coming)
            over = sum(chance * (k / room - 1) for k, chance in enumerate(coming) if k > room) / total
            full = sum(chance for k, chance in enumerate(coming) if k > room) / total
            busy = rate * (step.pause_s + full * step.decode_s / room)
            before_s, mean_s = mean_s, min(plain_s * (1 + over), 50 * plain_s)
            if mean_s < 1.01 * before_s:
                break
        return mean_s, coming

    def _among_regular(self, step: Step, start: int, stop: int) -> list[float]:
        """The rest of the step under way, and who comes during it."""
        room, more_s, decode_s, varied = self.a_step, step.more_s, step.decode_s, self.pace.workload.isl_cv > 0
        mean_s, coming = self._stationary(step)
        beside, unseen_s = others_nearby(self._rate * mean_s, self.scv), self.unseen_steps * mean_s
        lengths, under_way = [mean_s], [1.0]
        if self.scv:
            lengths = [self._lasts_s(step, k) for k in range(len(coming))]
            under_way = cumulative([a * b for a, b in zip(coming, lengths, strict=True)])
        others: dict[tuple[int, int], list[float]] = {}
        points, texts, texts_before, found = lattice(), deviates(TEXTS), deviates(TEXTS_BEFORE), []
        for i in range(start, stop):
            point = points[i]
            prompts = bisect_left(under_way, point[UNDER_WAY])
            lasts_s = with_others_s = lengths[prompts]
            level = 4
            if prompts and varied:
                text = self._text(prompts, texts_before[i])
                level = round(4 * text)  # whose company is counted together
                lasts_s = self._met(prompts, lengths[prompts], text, more_s)
                with_others_s = self._met(prompts, lengths[prompts], level / 4, more_s)
            counts = others.get((prompts, level))
            if counts is None:
                counts = others[prompts, level] = cumulative(chances(beside * with_others_s / mean_s))
            came: float = bisect_left(counts, point[BESIDE])
            waits = point[PHASE] * lasts_s + unseen_s
            if came:
                text = self._text(int(came), texts[i]) if varied else 1.0
                if came + 1 > room:
                    came = max(room - 1, came * (1 - point[PHASE]))
                    waits += decode_s * max(0.0, (came + 1) / room - step.chunks)
                waits += came * more_s * text
            found.append(waits)
        return found

    def _step_by_step(self, step: Step, start: int, stop: int) -> list[float]:
        """Step by step from some before the request until its own."""
        rate, room, more_s, decode_s = self._rate, self.a_step, step.more_s, step.decode_s
        varied, unseen = self.pace.workload.isl_cv > 0, round(self.unseen_steps)
        memory = (1 - min(0.8, rate * (more_s + decode_s / room))) ** 2
        start_s = min(STEPS_BEFORE * (decode_s + 2 * more_s) / memory, MOST_BEFORE / rate)
        once_s = step.first_s - more_s
        before, after = neighbours(self.scv)
        points, texts, texts_before, found = lattice(), deviates(TEXTS), deviates(TEXTS_BEFORE), []
        for i in range(start, stop):
            past, ago_s = before[i], start_s + points[i][PHASE] * decode_s
            seen = bisect_left(past, ago_s * rate)
            carried = [0] * (1 + unseen)
            while True:
                prompts = carried[0]
                lasts_s = decode_s
                if prompts:
                    lasts_s = decode_s * max(1.0, prompts / room) + once_s + prompts * more_s
                elif not any(carried):  # decoding alone until somebody comes
                    next_s = past[seen - 1] / rate if seen else 0.0
                    lasts_s = max(1, ceil((ago_s - next_s) / decode_s)) * decode_s
                if lasts_s >= ago_s:
                    break
                ago_s -= lasts_s
                ahead = bisect_left(past, ago_s * rate)
                carried = [*carried[1:], seen - ahead]
                seen = ahead
            left_s = lasts_s - ago_s
            if prompts and varied:
                text = self._text(prompts, texts_before[i])
                left_s *= self._met(prompts, lasts_s, text, more_s) / lasts_s
            waits = left_s + sum(self._lasts_s(step, prompts) for prompts in carried[1:])
            came: float = seen + bisect_left(after[i], left_s * rate)
            if came:
                text = self._text(int(came), texts[i]) if varied else 1.0
                if came + 1 > room:
                    came = max(room - 1, seen)
                    waits += decode_s * max(0.0, (came + 1) / room - step.chunks)
                waits += came * more_s * text
            found.append(waits)
        return found

    @cached_property
    def _widths(self) -> list[tuple[float, float]]:
        return []

    def _text(self, prompts: int, deviate: float) -> float:
        """Time that so many prompts take over its mean: lognormal, by two moments."""
        widths = self._widths
        while len(widths) <= prompts:
            variance = log(1 + self.pace.prompt_scv / max(1, len(widths)))
            widths.append((sqrt(variance), variance / 2))
        width, half = widths[prompts]
        return exp(width * deviate - half)

    def _met(self, prompts: int, lasts_s: float, text: float, more_s: float) -> float:
        """How long a step lasts, whose prompts take `text` times their mean, among those that arrivals interrupt.

        The longer its prompts, the likelier it is met: by as much as they make up of the step.
        """
        prompts_s = prompts * more_s
        return lasts_s + prompts_s * (text * (1 + prompts_s / lasts_s * self.pace.prompt_scv / prompts) - 1)

    def gaps_s(self, states: Sequence[int]) -> list[float]:
        """Gaps between tokens at every lattice point: a step, and the prompts that ride in it."""
        found, points = [], lattice()
        for running, start, stop in _runs(states):
            step = self.pace.at(running)
            riding = self._rate * step.decode_s / max(0.02, 1 - self._rate * step.pause_s) * step.chunks
            counts = cumulative(chances(riding, clumping(riding, self.scv)))
            for i in range(start, stop):
                prompts = bisect_left(counts, points[i][PHASE])
                carried_s = step.first_s + (prompts - 1) * step.more_s if prompts else 0.0
                found.append(step.decode_s + carried_s / step.chunks)
        return found


def _runs(states: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Stretches of points: one state that stands for those within a thirtieth of it, where they start and stop.

    With `states[i]` others one more runs; nobody else is a stretch of its own.
    """
    start, count = 0, len(states)
    while start < count:
        running = states[start] + 1
        width = 1 << max(0, running.bit_length() - 5)
        least = running // width * width
        stop = bisect_left(states, least + width - 1, start)
        yield least, start, stop
        start = stop
