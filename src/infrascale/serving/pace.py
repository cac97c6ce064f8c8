"""How fast a replica's steps are, by how many requests run.

In: StepTimer, Workload, tokens a step.    Out: times by state.
Idea: the timer is asked at three states an octave; between them times lie on straight lines. A step that carries k
prompts beside the decoding takes

    decode + first + (k − 1) · more        first < more where the first prompt finds the chip half idle

and a prompt f times as long costs f^power as much: its attention grows with its square, and the chip is better used.
Shared by replicas that differ in their limits alone.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from math import exp, log, log2
from typing import NamedTuple

from infrascale.deployment import StepTimer
from infrascale.serving.steady_state import Limits, step_batches
from infrascale.workload import Workload

#: Prompts in one step from which the cost of each further one is taken.
TOGETHER = 4
#: Running beside the prompts whose lengths are compared.
USUAL = 32.0


class Step(NamedTuple):
    """Times at one state [s], averaged over prompts of all lengths. `life_s`: of a request's place; `quiet_s`: the
    same if no other prompt came."""

    decode_s: float
    first_s: float  # what one prompt adds to the steps it rides in
    more_s: float  # what each further one in the same step adds
    chunks: float  # steps that carry one prompt
    pause_s: float  # what a prompt adds on average, as many as keep the state come
    token_s: float
    life_s: float
    quiet_s: float


class Pace:
    def __init__(self, timer: StepTimer, workload: Workload, step_tokens: float) -> None:
        self.timer, self.workload = timer, workload
        self.limits = Limits(max_num_seqs=1.0, cached_seqs=1.0, step_tokens=step_tokens)
        self.steps: list[Step] = []  # at 1, 2, … running
        once_s, twice_s = (self._first_s(replace(workload, isl_tokens=n * workload.isl_tokens)) for n in (1, 2))
        self.power = min(2.0, max(0.5, log2(twice_s / once_s))) if once_s > 0 < twice_s else 1.0
        spread = log(1 + workload.isl_cv**2)
        self.times_mean = exp(self.power * (self.power - 1) * spread / 2)
        self.prompt_scv = exp(self.power**2 * spread) - 1  # of how long a prompt takes
        self._steps: dict[int, Step] = {}
        self._knots: list[int] = []
        self._known: dict[int, tuple[float, float, float, int]] = {}

    def _first_s(self, workload: Workload) -> float:
        """What a prompt adds to the steps of a replica that is neither idle nor full."""
        found = step_batches(workload, self.limits, USUAL)
        return found.chunks * (self.timer(found.mixed) - self.timer(found.decode))

    def at(self, running: int) -> Step:
        found = self._steps.get(running)
        if found is None:
            found = self._steps[running] = self._between(running)
        return found

    def _between(self, running: int) -> Step:
        """On the straight line between the states on either side at which the timer is asked."""
        knots = self._knots
        while not knots or knots[-1] < running:
            knots.append(_knot(len(knots)))
        after = bisect_left(knots, running)
        low, high = knots[max(0, after - 1)], knots[after]
        weight = (running - low) / (high - low) if high > low else 1.0
        below, above = self._asked(low), self._asked(high)
        times = [a + weight * (b - a) for a, b in zip(below[:3], above[:3], strict=True)]
        return self._step(running, *times, (above if weight > 0.5 else below)[3])

    def _asked(self, running: int) -> tuple[float, float, float, int]:
        """By the timer: decoding, the first prompt, each further one, and the steps that carry one."""
        found = self._known.get(running)
        if found is None:
            found = self._known[running] = self._timed(running)
        return found

    def _timed(self, running: int) -> tuple[float, float, float, int]:
        found = step_batches(self.workload, self.limits, float(running))
        decode_s, mixed_s = self.timer(found.decode), self.timer(found.mixed)
        first_s = self.times_mean * max(0.0, found.chunks * (mixed_s - decode_s))
        room = self.limits.step_tokens - found.mixed.decode_seqs
        together = min(TOGETHER, int(room / max(1.0, self.workload.new_tokens)))
        if found.chunks > 1 or together < 2:
            return decode_s, first_s, first_s, found.chunks
        tokens = together * found.mixed.prefill_tokens
        full = replace(found.mixed, prefill_tokens=tokens, prefill_seqs=float(together))
        return decode_s, first_s, self.times_mean * max(0.0, self.timer(full) - mixed_s) / (together - 1), 1

    def _step(self, running: int, decode_s: float, first_s: float, more_s: float, chunks: float) -> Step:
        answer, beside = max(0.0, self.workload.osl_tokens - 1), running / max(1.0, self.workload.osl_tokens)
        pause_s = more_s - (more_s - first_s) * (1 - exp(-beside)) / beside
        token_s = decode_s + beside * pause_s
        own_s = chunks * decode_s + first_s
        return Step(
            decode_s, first_s, more_s, chunks, pause_s, token_s, own_s + answer * token_s, (answer + chunks) * decode_s
        )


def _knot(place: int) -> int:
    """1, 2, 3, 4, 5, 6, 8, 10, 13, 16, …: three an octave."""
    return place + 1 if place < 6 else round(2 ** (place / 3 + 1))
