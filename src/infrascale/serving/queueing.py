"""A replica under random traffic: what its requests wait and how fast they are answered, as percentiles.

In: StepTimer, Workload, Limits, Host, Arrivals (or users who think).    Out: Performance with quantiles, or Saturated.
Idea: the requests in flight, n, are a birth–death chain, whose rates follow from step times by state (`pace`). On the
clock of the answers, which stands still while a prompt is read, requests come at λ / (1 − ρ) and leave at

    n' / life(n')       n' = min(n, what may run),   life(n) = (osl − 1 + chunks) · decode(n),   ρ = λ · pause(n)

for while one prompt holds the answers up, others come: clusters like those of a busy period, whose counts vary
1 / (1 − ρ)² as much as Poisson's. If prompts are short, Poisson arrivals make the distribution of n exact whatever
the lengths, as long as nobody waits for a place (Cohen's generalised processor sharing, Acta Informatica 12, 1979).
Clusters and irregular arrivals scale the spread of n by their peakedness (Whitt 2002); who comes in a burst finds it.
Beyond the limit the wait is exponential, scaled by (scv_a + scv_s) / 2 (Allen & Cunneen) and by what many places add
(`many_servers`). A TPOT averages over a life, so it varies less than n.

    TTFT = host + wait for a place + step under way + steps already scheduled + prompts ahead + own prompt  (`prompts`)

Joint distributions are read off a lattice of points in the unit cube: the same points at any load, so every quantile
grows with the load and the planner may bisect.
Against the simulator: docs/tails.md, benchmarks/agreement.py.
Does not know: correlation between ISL and OSL, preemption, priorities. Those are the simulator's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import ceil, exp, inf, log, sqrt
from statistics import NormalDist

from infrascale.deployment import StepTimer
from infrascale.hardware import Host
from infrascale.serving.birth_death import Stationary, around, found_by_arrivals, found_by_irregular, stationary
from infrascale.serving.lattice import deviates, lattice, length_factor, spread_of
from infrascale.serving.many_servers import times_one_server
from infrascale.serving.pace import Pace, Step
from infrascale.serving.performance import Performance, Saturated, Spread
from infrascale.serving.prompts import LENGTHS, STATE, Prompts
from infrascale.serving.routing import Arrivals
from infrascale.serving.steady_state import Limits
from infrascale.workload import Workload

#: vLLM's front end under spread-out arrivals: HTTP, tokeniser's start, hand-over, first chunk back. Median of what
#: 2.5 steps leave of the TTFT in 20 runs of vLLM 0.15.1 whose prompts were all cached (5 to 13 ms).
FRONT_S = 0.0060


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What a request must keep to count as good: bounds on its TTFT and TPOT [s]."""

    ttft_s: float = inf
    tpot_s: float = inf


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A replica's requests under one load: at every lattice point, equally likely, their TTFT, TPOT and E2E [s].

    `waits` is the share of requests that find no place, `wait_s` the mean wait over all.
    """

    request_per_s: float
    waits: float
    wait_s: float
    running_seqs: float
    kv_used_fraction: float
    workload: Workload
    felt_s: tuple[Sequence[float], Sequence[float], Sequence[float]]
    gaps_s: Callable[[], Sequence[float]]

    def spread(self, which: int) -> Spread:
        return spread_of(self.felt_s[which])

    def goodput(self, promised: Promised) -> float:
        """Requests per second that keep every promise."""
        felt = zip(*self.felt_s[:2], strict=True)
        good = sum(ttft <= promised.ttft_s and tpot <= promised.tpot_s for ttft, tpot in felt)
        return self.request_per_s * good / len(self.felt_s[0])

    @property
    def itl_s(self) -> Spread:
        """Gaps between tokens: the same mean as TPOT, a longer tail."""
        return spread_of(self.gaps_s())

    @cached_property
    def performance(self) -> Performance:
        return Performance(
            ttft_s=self.spread(0),
            tpot_s=self.spread(1),
            e2e_s=self.spread(2),
            itl_s=self.itl_s,
            request_per_s=self.request_per_s,
            output_token_per_s=self.request_per_s * self.workload.osl_tokens,
            running_seqs=self.running_seqs,
            waiting_seqs=self.request_per_s * self.wait_s,
            kv_used_fraction=self.kv_used_fraction,
        )


def window_share(lives: float) -> float:
    """Variance of the average over `lives` relaxation times of what forgets exponentially, over its variance.

    2 · (y − 1 + e^(−y)) / y²: 1 for a glance, 0.74 for one relaxation time, 2 / y for a long look.
    """
    return 1 - lives / 3 if lives < 1e-4 else 2 * (lives - 1 + exp(-lives)) / lives**2


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One engine, ready to be asked about any load: step times by state are computed once, as far as they are needed.

    `pace`: of a replica that differs in its limits alone.
    """

    timer: StepTimer
    workload: Workload
    limits: Limits
    host: Host
    unseen_steps: float = 0.0
    pace: Pace | None = None

    @cached_property
    def _pace(self) -> Pace:
        return self.pace or Pace(self.timer, self.workload, self.limits.step_tokens)

    def steps_at(self, running: int) -> Step:
        return self._pace.at(running)

    def within(self, limits: Limits) -> Replica:
        """The same engine with room for more or fewer."""
        return replace(self, limits=limits, pace=self._pace)

    @cached_property
    def places(self) -> int:
        """States up to the one in which everything that may run does."""
        return max(1, ceil(self.limits.running))

    @cached_property
    def tokens_s(self) -> list[float]:
        """TPOT at 1, 2, … places running."""
        return [self.steps_at(n).token_s for n in range(1, self.places + 1)]

    @cached_property
    def lives_s(self) -> list[float]:
        """How long a request holds its place at 1, 2, … running."""
        return [self.steps_at(n).life_s for n in range(1, self.places + 1)]

    @cached_property
    def down(self) -> list[float]:
        """Requests that leave per second at 1, 2, … in flight, when as many come."""
        return [min(n, self._most) / life for n, life in enumerate(self.lives_s, 1)]

    @property
    def _most(self) -> float:
        return max(1.0, self.limits.running)

    @cached_property
    def prompts_a_step(self) -> float:
        """Prompts that one step reads beside a full batch."""
        room = max(16.0, self.limits.step_tokens - self.limits.running)
        return room / self.workload.new_tokens

    @cached_property
    def prompt_lane_s(self) -> float:
        """Time for which one prompt keeps the others' prefill back when they queue: its share of a full step."""
        full = self.steps_at(self.places)
        return full.more_s + full.decode_s / self.prompts_a_step

    @cached_property
    def most_request_per_s(self) -> float:
        """What is sustained: the batch full throughout, and the prompts read as fast as they come."""
        return min(self._most / self.steps_at(self.places).life_s, 1 / self.prompt_lane_s)

    @cached_property
    def service_scv(self) -> float:
        """Squared coefficient of variation of how long a place is held: the answer's, by its share of the time."""
        full = self.steps_at(self.places)
        own_s = full.chunks * full.decode_s + full.first_s
        return (self.workload.osl_cv * (1 - own_s / full.life_s)) ** 2

    def peakedness(self, arrivals: Arrivals, busy: float = 0.0) -> float:
        """Variance over mean of the requests in flight when all find a place: 1 for Poisson and short prompts.

            1 + (I − 1) · E[min(S₁, S₂)] / E[S]       2·Φ(−σ/√2) for lognormal S, 1 for fixed lengths

        I, the dispersion of counts on the clock of the answers, which a request stops for a share ρ = `busy` of the
        time between two: a count N in time t satisfies N = λ(t + e·N) + noise, so I = (scv + ρ²·scv_isl) / (1 − ρ)².
        Never below what whole numbers can do: 1 / (4 · mean). Source: Eckberg, ITC 10 (1983); Whitt 2002.
        """
        sigma = sqrt(log(1 + self.service_scv))
        shortest = 2 * NormalDist().cdf(-sigma / sqrt(2))
        dispersion = (arrivals.scv + (busy * self.workload.isl_cv) ** 2) / (1 - busy) ** 2
        loose = 1 + (dispersion - 1) * shortest
        mean = arrivals.request_per_s * self.steps_at(1).life_s
        return max(loose / arrivals.pooled, 1 / (4 * max(1.0, mean)))

    def in_flight(self, arrivals: Arrivals) -> tuple[Stationary, Stationary]:
        """How many there are, those who wait included; and how many an arrival finds."""
        rate, pace, places = arrivals.request_per_s, self._pace, self.places

        def tendency(state: int) -> float:
            """Rate up over rate down, between the state below and this one."""
            if state == places:  # prompts are then read as others leave, not as they come
                return rate / self._down(places)
            step = pace.at(state)
            read = 1 - rate * step.pause_s
            return rate / state * (step.pause_s + step.quiet_s / read) if read > 0 else inf

        level = balance(tendency, places)
        width = self.peakedness(arrivals, min(0.9, rate * pace.at(level).pause_s))
        # those who wait are read as others leave, not in clusters
        own = self.peakedness(arrivals)
        inside = around(tendency, level, places, (rate / self.most_request_per_s) ** (1 / own), width)
        return inside, inside if own == 1 else found_by_irregular(inside, tendency, places, width, own)

    def under(self, arrivals: Arrivals) -> Loaded | Saturated:
        """The replica in equilibrium with arrivals from outside."""
        rate, most = arrivals.request_per_s, self.most_request_per_s
        if rate >= most * (1 - 1e-9):
            return Saturated(request_per_s=most)
        inside, seen = self.in_flight(arrivals)
        waits = seen.full if seen.last == self.places else 0.0
        many = times_one_server(rate / most, self.service_scv, self.places * arrivals.pooled)
        mean_wait_s = many * (arrivals.scv + self.service_scv) / 2 / ((most - rate) * arrivals.pooled)

        def wait_s(share: float) -> float:
            return -log((1 - share) / waits) * mean_wait_s if 1 - share < waits else 0.0

        return self._loaded(arrivals, seen, inside, wait_s, waits, waits * mean_wait_s)

    def under_users(self, users: int, think_s: float) -> Loaded:
        """The replica with `users` who each think `think_s` between an answer and the next request."""
        if think_s == 0:
            up, chances = [1.0] * users, tuple(float(n == users - 1) for n in range(users))
            seen = Stationary(chances=chances)
            inside = Stationary(chances=(*(0.0,) * users, 1.0))
        else:
            up = [(users - n) / think_s for n in range(users)]
            inside = stationary(up, [self._down(n) for n in range(1, users + 1)])
            seen = found_by_arrivals(inside, [*up, 0.0][: len(up)])
        leaves = sum(chance * self._down(n) for n, chance in enumerate(inside.chances) if n)
        most, deviates = self._down(self.places), NormalDist()

        def wait_s(share: float) -> float:
            ahead = max(0, seen.quantile(share) - self.places + 1)
            return max(0.0, ahead + sqrt(ahead * self.service_scv) * deviates.inv_cdf(share)) / most

        waiting = sum(chance * max(0, n - self.places) for n, chance in enumerate(inside.chances))
        waits = sum(seen.chances[self.places :])
        arrivals = Arrivals(request_per_s=leaves)
        return self._loaded(arrivals, seen, inside, wait_s, waits, waiting / leaves)

    def _down(self, state: int) -> float:
        served = min(state, self.places)
        return min(served, self._most) / self.steps_at(served).life_s

    @cached_property
    def _own_prompts(self) -> tuple[list[int], list[float]]:
        """Steps that each point's prompt takes, and what it costs over the mean."""
        isl, pace = self.lengths[0], self._pace
        chunks = [max(1, ceil(length / self.prompts_a_step)) for length in isl]
        return chunks, [length**pace.power / pace.times_mean for length in isl]

    @cached_property
    def lengths(self) -> tuple[list[float], list[float]]:
        """ISL and OSL at every lattice point, over their means: the longer the one, the shorter the other."""
        normal, load = deviates(LENGTHS), self.workload
        return [length_factor(x, load.isl_cv) for x in normal], [length_factor(-x, load.osl_cv) for x in normal]

    def _loaded(
        self,
        arrivals: Arrivals,
        seen: Stationary,
        inside: Stationary,
        wait_s: Callable[[float], float],
        waits: float,
        mean_wait_s: float,
    ) -> Loaded:
        busy = inside.mean_up_to(self.places)
        points, (isl, osl) = lattice(), self.lengths
        steps = list(accumulate(seen.chances))
        states = [min(bisect_left(steps, point[STATE]) + seen.first, self.places) for point in points]
        prompts = Prompts(
            pace=self._pace, arrivals=arrivals, a_step=self.prompts_a_step, unseen_steps=self.unseen_steps
        )
        reading_s = self.host.prompt_token_s * self.workload.isl_tokens
        first_s = [
            FRONT_S + reading_s * length + prompt_s
            for length, prompt_s in zip(isl, prompts.first_s(states, *self._own_prompts), strict=True)
        ]
        for i in range(int((1 - waits) * len(points)), len(points)):
            first_s[i] += wait_s(points[i][STATE])
        tokens_s = self._averaged(states, max(1.0, busy))
        answer = self.workload.osl_tokens
        whole_s = [
            first + max(0.0, answer * length - 1) * token
            for first, token, length in zip(first_s, tokens_s, osl, strict=True)
        ]
        return Loaded(
            request_per_s=arrivals.request_per_s,
            waits=waits,
            wait_s=mean_wait_s,
            running_seqs=busy,
            kv_used_fraction=min(1.0, busy / self.limits.cached_seqs) if self.limits.cached_seqs else 1.0,
            workload=self.workload,
            felt_s=(first_s, tokens_s, whole_s),
            gaps_s=lambda: prompts.gaps_s([max(0, state - 1) for state in states]),
        )

    def _averaged(self, states: Sequence[int], mean: float) -> list[float]:
        """TPOT of requests that found these states: over its life a state forgets, see `window_share`."""
        place = min(self.places, max(2, round(mean)))
        life_s = self.steps_at(place).life_s
        slope = self._down(place) - self._down(place - 1) if place > 1 else 1 / self.steps_at(1).life_s
        averaging = sqrt(window_share(max(1e-3, life_s * slope)))
        known: dict[int, float] = {}
        for n in set(states):
            level = max(1.0, mean + averaging * (n - mean))
            below = min(int(level), self.places)
            low, high = self.steps_at(below).token_s, self.steps_at(min(below + 1, self.places)).token_s
            known[n] = low + (level - below) * (high - low)
        return [known[n] for n in states]


def balance(tendency: Callable[[int], float], most: int) -> int:
    """The state, of 1 … most, that is neither left upwards more often than it is entered from above, nor less."""
    low, high = 1, 1
    while high < most and tendency(high) > 1:
        low, high = high, min(most, 2 * high)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tendency(middle) > 1 else (low, middle)
    return low
