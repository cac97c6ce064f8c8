"""A run whose requests are all sent at once: from the first prompt to the last answer.

In: StepTimer, Workload, Limits, how many are sent, the spread of answers' lengths.    Out: Run.
Idea: who is admitted when is followed on a clock of steps, since an answer grows by one token a step; an answer's time
per token is what the clock says between its ends. A benchmark's mean TPOT is a mean of such ratios: a short answer that
began while others' prompts were read has met nothing but long steps. With K steps that read prompts, s the time of one
and t_dec of one without,

    mean TPOT ≈ t_dec + (s − t_dec) · E[min(1, U / osl)],  U even in 0 … K        (s − t_dec)·K/2 · E[1/osl] if K << osl

of which the ratio of means, (s − t_dec)·K/2 / E[osl], is half where lengths vary as chats' do. Answers that end leave a
smaller batch; the longest go on alone, and the run ends with the last of them.
Assumes that lengths come in random order, and that a full batch is one of means.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import exp, log, sqrt
from statistics import NormalDist

from infrascale.deployment import StepTimer
from infrascale.serving.steady_state import Limits, decode_batch, steps, tpot_s
from infrascale.work import Batch
from infrascale.workload import Workload

#: Coefficient of variation of a chat's answers, lognormal. Of the 19,366 of Azure's public trace of conversations
#: (AzurePublicDataset, 2023, CC-BY 4.0) E[osl]·E[1/(osl − 1)] is 2.09, which 1 + cv² is of a lognormal; the longest
#: takes 4.7 times their mean.
CHAT_CV, LONGEST = 1.0, 4.7
#: Answers' lengths that stand for all, and the longest that is followed in batches; what lies between flows evenly.
POINTS, MOST_BATCHES = 24, 4
#: Windows of the clock in one mean answer.
WINDOWS = 100
_NOBODY = 1e-6
_Lengths = list[tuple[float, float]]
_Begun = list[tuple[float, float, float, _Lengths]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Means over the requests of one replica, and how long it took them all [s]."""

    ttft_s: float
    tpot_s: float
    e2e_s: float
    whole_s: float

    def running(self, sent: float) -> float:
        """Requests past their first token, on average over the run (Little's law)."""
        return sent * (self.e2e_s - self.ttft_s) / self.whole_s


@dataclass(slots=True)
class _Clock:
    """Steps, and the time at which each ended. Where prompts go first, time passes and the clock stands."""

    steps: list[float] = field(default_factory=lambda: [0.0])
    times: list[float] = field(default_factory=lambda: [0.0])

    def advance(self, steps_on: float, seconds: float) -> None:
        self.steps.append(self.steps[-1] + steps_on)
        self.times.append(self.times[-1] + seconds)

    def at(self, step: float) -> float:
        after = min(bisect_right(self.steps, step), len(self.steps) - 1)
        begin, end = self.steps[after - 1], self.steps[after]
        share = min(1.0, (step - begin) / (end - begin)) if end > begin else 1.0
        return self.times[after - 1] + share * (self.times[after] - self.times[after - 1])


def lengths(mean_tokens: float, cv: float, sent: float) -> _Lengths:
    """Lengths that stand for a lognormal of this mean with their shares; one where all are alike.

    The tail is halved again and again until the longest of as many as were sent stands alone: a run waits for it.
    """
    if cv <= 0:
        return [(max(1.0, mean_tokens), 1.0)]
    sigma, edges = sqrt(log(1 + cv**2)), [k / POINTS for k in range(POINTS)]
    while 1 - edges[-1] > 2 / max(2.0 * POINTS, sent):
        edges.append((1 + edges[-1]) / 2)
    shares = [end - begin for begin, end in zip(edges, [*edges[1:], 1.0], strict=True)]
    drawn = (sigma * NormalDist().inv_cdf(begin + part / 2) for begin, part in zip(edges, shares, strict=True))
    points = [min(LONGEST, exp(x - sigma**2 / 2)) for x in drawn]
    mean = sum(point * share for point, share in zip(points, shares, strict=True))
    return [(max(1.0, mean_tokens * point / mean), share) for point, share in zip(points, shares, strict=True)]


def run_at_once(timer: StepTimer, workload: Workload, limits: Limits, sent: float, cv: float = 0.0) -> Run:
    """`sent` requests to one replica. Of many batches the first ones and the last are followed, the flow between them
    goes at the rate of a full batch."""
    places = limits.running
    followed = min(sent, max(MOST_BATCHES * places, 1.0))
    begun, clock, ended = _follow(timer, workload, limits, followed, lengths(workload.osl_tokens, cv, sent))
    ttft_s = sum(count * time_s for _, time_s, count, _ in begun)
    tpot = answers_s = 0.0
    for step, time_s, count, osls in begun:
        for osl, share in osls:
            took_s = clock.at(step + osl - 1) - time_s if osl > 1 else 0.0
            answers_s += count * share * took_s
            tpot += count * share * took_s / max(1.0, osl - 1)
    between = sent - followed
    token_s = tpot_s(steps(timer, workload, limits, places), workload, places) if between else 0.0
    flow_s = between * workload.osl_tokens * token_s / places  # in which those between are admitted, after the first
    early = sum(count * time_s for _, time_s, count, _ in begun) / followed
    ttft_s += between * (early + flow_s / 2) + followed / 2 * flow_s
    tpot += between * token_s
    answers_s += between * max(0.0, workload.osl_tokens - 1) * token_s
    return Run(ttft_s=ttft_s / sent, tpot_s=tpot / sent, e2e_s=(ttft_s + answers_s) / sent, whole_s=ended + flow_s)


def _follow(
    timer: StepTimer, workload: Workload, limits: Limits, sent: float, osls: _Lengths
) -> tuple[_Begun, _Clock, float]:
    """Cohorts as they begin to answer: step, time [s], count, lengths; the clock; and the end of the last [s]."""
    clock, begun = _Clock(), []
    ends: list[tuple[float, float]] = []
    waiting, running, window = sent, 0.0, max(1.0, workload.osl_tokens / WINDOWS)
    while waiting > _NOBODY or ends:
        now = clock.steps[-1]
        while ends and ends[0][0] <= now + _NOBODY:
            running -= heappop(ends)[1]
        running = max(0.0, running) if ends else 0.0
        free = min(waiting, max(limits.running - running, 0.0 if ends else 1.0))
        admitted, on, prompts_s, step_s = _next(timer, workload, limits, running, free, window)
        if admitted <= _NOBODY:
            if not ends:
                break
            on = max(on, ends[0][0] - now) if waiting <= _NOBODY or free <= _NOBODY else on
        if prompts_s:
            clock.advance(0.0, prompts_s)
        clock.advance(on, on * step_s)
        if admitted > _NOBODY:
            waiting -= admitted
            step, time_s = _began(clock, on, prompts_s, step_s, limits)
            begun.append((step, time_s, admitted, osls))
            running += admitted
            for osl, share in osls:
                heappush(ends, (step + osl - 1, admitted * share))
    return begun, clock, clock.times[-1]


def _began(clock: _Clock, on: float, prompts_s: float, step_s: float, limits: Limits) -> tuple[float, float]:
    """When those of a window had their first tokens: with their step, or in the middle of its steps."""
    if limits.prompts_first:
        return clock.steps[-1] - on, clock.times[-1] - on * step_s
    back = 0.0 if on <= 1 else on / 2
    return clock.steps[-1] - back, clock.times[-1] - back * step_s


def _next(
    timer: StepTimer, workload: Workload, limits: Limits, running: float, free: float, window: float
) -> tuple[float, float, float, float]:
    """What happens next: prompts admitted, steps, the time of prompts by themselves, the time of each step [s]."""
    isl, past = workload.new_tokens, workload.cached_tokens
    decode_s = timer(decode_batch(running, workload)) if running > 0 else 0.0
    if free <= _NOBODY:
        return 0.0, window if running else 0.0, 0.0, decode_s
    if limits.prompts_first:
        together = min(free, max(1.0, limits.step_tokens // isl))
        parts = max(1.0, isl / limits.step_tokens)
        alone = Batch(
            prefill_tokens=together * isl / parts,
            prefill_seqs=max(1.0, together),
            prefill_past_tokens=past + (parts - 1) / 2 * isl / parts,
        )
        full = together < free
        return together, 0.0 if full else window, parts * timer(alone), decode_s
    room = max(16.0, limits.step_tokens - running)
    if free * isl < room * window and running > free:  # few places fall free: prompts ride along one by one
        return free, window, 0.0, decode_s + free / window * steps(timer, workload, limits, running).extra_s
    admitted = min(free, room / isl)
    batch = decode_batch(running, workload) if running > 0 else Batch()
    mixed = Batch(
        prefill_tokens=admitted * isl,
        prefill_seqs=max(1.0, admitted),
        prefill_past_tokens=past + max(0.0, isl / room - 1) / 2 * room,
        decode_seqs=batch.decode_seqs,
        context_tokens=batch.context_tokens,
    )
    return admitted, 1.0, 0.0, timer(mixed)
