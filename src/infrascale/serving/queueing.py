"""A replica under random traffic: what its requests wait and how fast they are answered, as percentiles.

In: StepTimer, Workload, Limits, Host, Arrivals (or users who think).    Out: Performance with quantiles, or Saturated.
Idea: the requests in flight, n, are a birth–death chain. They come at the arrival rate and leave at

    n' / life(n')       n' = min(n, what may run),      life(n) = prompt + (osl − 1) · tpot(n)

so a faster or slower step enters as a rate by state. Poisson arrivals make the distribution of n exact whatever the
lengths, as long as nobody waits for a place (Cohen's generalised processor sharing, Acta Informatica 12, 1979). Beyond
the limit the wait is exponential; irregular arrivals and lengths scale it by (scv_a + scv_s) / 2 (Allen & Cunneen), and
the spread of n by its peakedness (Whitt 2002). A request's TPOT averages over its life, so it varies less than n does.

    TTFT = host + wait for a place + step under way + steps already scheduled + prompts ahead + own prompt

Joint distributions are read off a lattice of points in the unit cube (a rank-1 rule): the same points at any load, so
every quantile grows with the load and the planner may bisect.
Against the simulator (benchmarks/agreement.py): even and Poisson arrivals within 7 % in the mean of TTFT, 12 % in its
p95, 6 % in TPOT; of bursty ones (cv 2) TTFT is a quarter to two fifths too low: simulate those.
Does not know: correlation between ISL and OSL, preemption, priorities. Those are the simulator's too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import accumulate
from math import ceil, exp, gamma, inf, log, sqrt
from statistics import NormalDist

from infrascale.deployment import StepTimer
from infrascale.hardware import Host
from infrascale.serving.birth_death import Stationary, found_by_arrivals, stationary
from infrascale.serving.performance import Performance, Saturated, Spread
from infrascale.serving.routing import Arrivals
from infrascale.serving.steady_state import Limits, Steps, steps, tpot_s
from infrascale.workload import Workload

PROBABILITIES = (0.05, 0.5, 0.9, 0.95, 0.99)
#: Lattice points, and states at which the StepTimer is asked (the rest lies on straight lines between them).
POINTS, STATES = 512, 24
#: vLLM's front end under spread-out arrivals: HTTP, tokeniser's start, hand-over, first chunk back. Median of what
#: 2.5 steps leave of the TTFT in 20 runs of vLLM 0.15.1 whose prompts were all cached (5 to 13 ms).
FRONT_S = 0.0060


@cache
def lattice() -> tuple[tuple[float, ...], ...]:
    """Points that fill a cube evenly: the first coordinate in order, the others by Kronecker's rule i·α mod 1.

    α: powers of the root of x^6 = x + 1, the generalised golden ratio (M. Roberts, 2018).
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / 6)
    return tuple(((i + 0.5) / POINTS, *((0.5 + i * root**-power) % 1 for power in range(1, 6))) for i in range(POINTS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Promised:
    """What a request must keep to count as good: bounds on its TTFT and TPOT [s]."""

    ttft_s: float = inf
    tpot_s: float = inf


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """A replica's requests under one load: `requests` are equally likely (ttft, tpot, e2e) [s].

    `waits` is the share of requests that find no place, `wait_s` the mean wait over all.
    """

    request_per_s: float
    waits: float
    wait_s: float
    running_seqs: float
    kv_used_fraction: float
    workload: Workload
    requests: tuple[tuple[float, float, float], ...]
    gap_s: Callable[[tuple[float, ...]], float]

    def spread(self, which: int) -> Spread:
        return spread_of([request[which] for request in self.requests])

    def goodput(self, promised: Promised) -> float:
        """Requests per second that keep every promise."""
        good = sum(ttft <= promised.ttft_s and tpot <= promised.tpot_s for ttft, tpot, _ in self.requests)
        return self.request_per_s * good / len(self.requests)

    @property
    def itl_s(self) -> Spread:
        """Gaps between tokens: the same mean as TPOT, a longer tail."""
        return spread_of([self.gap_s(point) for point in lattice()])

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


def spread_of(values: list[float]) -> Spread:
    """Mean and quantiles of equally likely values, on straight lines between them."""
    values = sorted(values)
    count = len(values)
    found = {}
    for share in PROBABILITIES:
        place = min(max(share * count - 0.5, 0.0), count - 1.0)
        below = min(int(place), count - 2)
        found[share] = values[below] + (place - below) * (values[below + 1] - values[below])
    return Spread(mean_s=sum(values) / count, quantiles_s=found)


def length_factor(share: float, cv: float) -> float:
    """Quantile of a lognormal length over its mean."""
    if cv == 0:
        return 1.0
    variance = log(1 + cv * cv)
    return exp(sqrt(variance) * NormalDist().inv_cdf(share) - variance / 2)


def count_quantile(share: float, mean: float, clumping: float = 0.0) -> int:
    """The smallest k with P(count ≤ k) ≥ share: Poisson, or with `clumping` negative binomial.

    Its variance is mean · (1 + mean · clumping). Source: a gamma mixture of Poisson counts (Greenwood & Yule 1920).
    """
    if mean * (1 + mean * clumping) > 400:
        return max(0, round(mean + sqrt(mean * (1 + mean * clumping)) * NormalDist().inv_cdf(share)))
    spread = mean * clumping
    chance = exp(-mean) if spread < 1e-6 else (1 + spread) ** (-1 / clumping)
    total, count = chance, 0
    while total < share and count < 400:
        chance *= (mean + count * spread) / ((count + 1) * (1 + spread))
        count += 1
        total += chance
    return count


def others_nearby(expected: float, scv: float) -> float:
    """Arrivals, besides one, in a window around it in which `expected` come on average.

        2 ∫₀¹ H(u · expected) du,     H(t) ≈ t + min((scv − 1) / 2, (a·t)^a / Γ(a + 1) − t),   a = 1 / scv

    H: the renewal function of gamma gaps, by its start and its end (Cox, Renewal Theory, 1962, §4.2); for Poisson
    H(t) = t. Gaps more regular than Poisson's: two moments, nobody while the window is shorter than a gap.
    """
    if scv <= 1:
        return max(0.0, expected + (scv - 1) * min(1.0, expected))
    a = 1 / scv
    start = 2 * (a * expected) ** a / gamma(a + 1) / (a + 1)
    return expected + min(scv - 1, max(0.0, start - expected))


def under_way(share: float, mean: float, plain_s: float, extra_s: float) -> int:
    """Quantile of the prompts in the step that an arrival interrupts: long steps are met more often.

    Chances ∝ Poisson(k; mean) · (plain + k · extra), which mixes Poisson(k) and Poisson(k − 1).
    """
    later = mean * extra_s / (plain_s + mean * extra_s)
    chance, before, total, count = exp(-mean), 0.0, 0.0, 0
    while count < 200:
        total += (1 - later) * chance + later * before
        if total >= share:
            break
        count += 1
        before, chance = chance, chance * mean / count
    return count


def window_share(lives: float) -> float:
    """Variance of the average over `lives` relaxation times of what forgets exponentially, over its variance.

    2 · (y − 1 + e^(−y)) / y²: 1 for a glance, 0.74 for one relaxation time, 2 / y for a long look.
    """
    return 1 - lives / 3 if lives < 1e-4 else 2 * (lives - 1 + exp(-lives)) / lives**2


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One engine, ready to be asked about any load: step times by state are computed once."""

    timer: StepTimer
    workload: Workload
    limits: Limits
    host: Host
    unseen_steps: float = 0.0

    @cached_property
    def places(self) -> int:
        """States up to the one in which everything that may run does."""
        return max(1, ceil(self.limits.running))

    @cached_property
    def table(self) -> list[Steps]:
        """Step times at 1, 2, … places running; asked at some, the rest on straight lines between them."""
        most = self.limits.running
        spaced = (min(most, round(most ** (i / (STATES - 1)))) for i in range(STATES))
        asked = sorted({max(1.0, running) for running in (*spaced, most)})
        known = [steps(self.timer, self.workload, self.limits, running) for running in asked]
        found = []
        for state in range(1, self.places + 1):
            running = max(1.0, min(state, most))
            after = min(max(1, bisect_left(asked, running)), len(asked) - 1)
            if len(asked) == 1:
                return known
            weight = (running - asked[after - 1]) / (asked[after] - asked[after - 1])
            found.append(_between(known[after - 1], known[after], weight))
        return found

    @cached_property
    def lengths(self) -> list[tuple[float, float]]:
        """ISL and OSL at every lattice point, over their means."""
        return [
            (length_factor(point[3], self.workload.isl_cv), length_factor(1 - point[3], self.workload.osl_cv))
            for point in lattice()
        ]

    @cached_property
    def tokens_s(self) -> list[float]:
        """TPOT at 1, 2, … places running."""
        return [tpot_s(found, self.workload, self._running(n)) for n, found in enumerate(self.table, 1)]

    def _running(self, state: int) -> float:
        return min(float(state), max(1.0, self.limits.running))

    @cached_property
    def lives_s(self) -> list[float]:
        """How long a request holds its place at 1, 2, … running."""
        answer = max(0.0, self.workload.osl_tokens - 1)
        return [found.prompt_s + answer * token for found, token in zip(self.table, self.tokens_s, strict=True)]

    @cached_property
    def down(self) -> list[float]:
        """Requests that leave per second at 1, 2, … in flight."""
        return [self._running(n) / life for n, life in enumerate(self.lives_s, 1)]

    @cached_property
    def prompts_a_step(self) -> float:
        """Prompts that one step reads beside a full batch."""
        room = max(16.0, self.limits.step_tokens - self.limits.running)
        return room / self.workload.new_tokens

    def prompt_lane_s(self, state: int) -> float:
        """Time for which one prompt keeps the others' prefill back when they queue: its share of a full step."""
        found = self.table[state - 1]
        return found.extra_s + found.decode_s / self.prompts_a_step

    @cached_property
    def most_request_per_s(self) -> float:
        """What is sustained: the batch full throughout, and the prompts read as fast as they come."""
        return min(self.down[-1], 1 / self.prompt_lane_s(self.places))

    @property
    def service_scv(self) -> float:
        """Squared coefficient of variation of how long a place is held: the answer's, by its share of the time."""
        decoding = 1 - self.table[-1].prompt_s / self.lives_s[-1]
        return (self.workload.osl_cv * decoding) ** 2

    def peakedness(self, arrivals: Arrivals) -> float:
        """Variance over mean of the requests in flight when all find a place: 1 for Poisson.

            1 + (scv − 1) · E[min(S₁, S₂)] / E[S]       2·Φ(−σ/√2) for lognormal S, 1 for fixed lengths

        Never below what whole numbers can do: 1 / (4 · mean). Source: Eckberg, ITC 10 (1983); Whitt 2002.
        """
        sigma = sqrt(log(1 + self.service_scv))
        shortest = 2 * NormalDist().cdf(-sigma / sqrt(2))
        loose = 1 + (arrivals.scv - 1) * shortest
        mean = arrivals.request_per_s * self.lives_s[0]
        return max(loose / arrivals.pooled, 1 / (4 * max(1.0, mean)))

    def in_flight(self, arrivals: Arrivals) -> Stationary:
        ratio = arrivals.request_per_s / self.most_request_per_s
        return stationary([arrivals.request_per_s] * self.places, self.down, ratio, self.peakedness(arrivals))

    def under(self, arrivals: Arrivals) -> Loaded | Saturated:
        """The replica in equilibrium with arrivals from outside."""
        rate, most = arrivals.request_per_s, self.most_request_per_s
        if rate >= most * (1 - 1e-9):
            return Saturated(request_per_s=most)
        state = self.in_flight(arrivals)
        waits = state.full
        mean_wait_s = (arrivals.scv + self.service_scv) / 2 / ((most - rate) * arrivals.pooled)

        def wait_s(share: float) -> float:
            return -log((1 - share) / waits) * mean_wait_s if 1 - share < waits else 0.0

        return self._loaded(arrivals, state, state, wait_s, waits, waits * mean_wait_s)

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
        most, deviates = self.down[-1], NormalDist()

        def wait_s(share: float) -> float:
            ahead = max(0, seen.quantile(share) - self.places + 1)
            return max(0.0, ahead + sqrt(ahead * self.service_scv) * deviates.inv_cdf(share)) / most

        waiting = sum(chance * max(0, n - self.places) for n, chance in enumerate(inside.chances))
        waits = sum(seen.chances[self.places :])
        arrivals = Arrivals(request_per_s=leaves)
        return self._loaded(arrivals, seen, inside, wait_s, waits, waiting / leaves)

    def _down(self, state: int) -> float:
        return self.down[min(state, self.places) - 1]

    def _loaded(
        self,
        arrivals: Arrivals,
        seen: Stationary,
        inside: Stationary,
        wait_s: Callable[[float], float],
        waits: float,
        mean_wait_s: float,
    ) -> Loaded:
        busy = sum(min(n, self.places) * chance for n, chance in enumerate(inside.chances))
        life = _Life(self, arrivals, seen, inside, wait_s)
        requests = life.requests()
        return Loaded(
            request_per_s=arrivals.request_per_s,
            waits=waits,
            wait_s=mean_wait_s,
            running_seqs=busy,
            kv_used_fraction=min(1.0, busy / self.limits.cached_seqs) if self.limits.cached_seqs else 1.0,
            workload=self.workload,
            requests=requests,
            gap_s=life.gap_s,
        )


def _between(low: Steps, high: Steps, weight: float) -> Steps:
    """A straight line between two states; the chunks are those of the nearer end."""
    return Steps(
        decode_s=low.decode_s + weight * (high.decode_s - low.decode_s),
        prompt_s=low.prompt_s + weight * (high.prompt_s - low.prompt_s),
        chunks=(high if weight > 0.5 else low).chunks,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """What an arrival meets when `running` run, itself included."""

    step_s: float  # mean step: decoding, and the prompts that come during it
    beside: float  # other prompts expected in its own step
    nobody: float  # chance that there are none
    expected: float  # prompts in a step
    decode_s: float  # a step without prompts
    plain_s: float  # its own prompt's steps but for the prompt
    extra_s: float  # what one prompt adds
    queues: float  # chance that prompts fill more than a step
    queue_s: float  # mean wait then


class _Life:
    """One request at a point of the lattice: which state it finds, which step is under way, who comes beside it."""

    def __init__(
        self,
        replica: Replica,
        arrivals: Arrivals,
        seen: Stationary,
        inside: Stationary,
        wait_s: Callable[[float], float],
    ) -> None:
        self.replica, self.arrivals, self.wait_s = replica, arrivals, wait_s
        self.workload, self.host = replica.workload, replica.host
        self.states = list(accumulate(seen.chances))
        self.mean = max(1.0, sum(min(n, replica.places) * chance for n, chance in enumerate(inside.chances)))
        place = min(replica.places, max(2, round(self.mean))) - 1
        slope = replica.down[place] - replica.down[place - 1] if place else 1 / replica.lives_s[0]
        self.averaging = sqrt(window_share(max(1e-3, replica.lives_s[place] * slope)))
        self.moments: dict[int, _Moment] = {}

    def _state(self, share: float) -> int:
        """How many run beside or with the arrival: the state it finds, and never more than there are places."""
        return min(bisect_left(self.states, share), self.replica.places)

    def _moment(self, running: int) -> _Moment:
        """Prompts beside an arrival: those of the same step (Palm, two moments), and a queue of M/D/c, c a step.

        A bulk queue that serves c a step is M/D/c seen once a step (Crommelin 1932); its P(wait) is about
        ρ^(√(2(c + 1)) − 1) (Sakasegawa 1977).
        """
        if running in self.moments:
            return self.moments[running]
        rate, scv, found = self.arrivals.request_per_s, self.arrivals.scv, self.replica.table[running - 1]
        step_s = found.decode_s / max(0.02, 1 - rate * found.extra_s)
        expected = rate * step_s
        held_s = self.replica.prompt_lane_s(running)
        busy = min(0.999, rate * held_s)
        beside = others_nearby(expected, scv)
        moment = self.moments[running] = _Moment(
            step_s=step_s,
            beside=beside,
            nobody=exp(-beside) if scv <= 1 else 0.0,
            expected=expected,
            decode_s=found.decode_s,
            plain_s=found.decode_s * found.chunks,
            extra_s=found.extra_s,
            queues=busy ** (sqrt(2 * (max(1.0, self.replica.prompts_a_step) + 1)) - 1),
            queue_s=(scv + self.workload.isl_cv**2) / 2 * held_s / (1 - busy),
        )
        return moment

    def requests(self) -> tuple[tuple[float, float, float], ...]:
        """(ttft, tpot, e2e) [s] at every lattice point.

        Its coordinates: state found, place in the step, prompts beside, lengths, prompt queue, step under way.
        """
        places, waits, unseen = self.replica.places, self.wait_s, self.replica.unseen_steps
        prompt_token_s = self.host.prompt_token_s * self.workload.isl_tokens
        answer, clumping = self.workload.osl_tokens, max(0.0, self.arrivals.scv - 1)
        tokens_s = [self._averaged(n) for n in range(places + 1)]
        moments: dict[int, _Moment] = {}
        found = []
        for (state, phase, beside, _, queue, ahead), (isl, osl) in zip(lattice(), self.replica.lengths, strict=True):
            n = self._state(state)
            moment = moments.get(n) or moments.setdefault(n, self._moment(max(1, min(n + 1, places))))
            first_s = FRONT_S + prompt_token_s * isl + waits(state) + moment.plain_s + moment.extra_s * isl
            step_s = moment.step_s
            if n and self.arrivals.scv:
                prompts = under_way(ahead, moment.expected, moment.decode_s, moment.extra_s)
                step_s = moment.decode_s + prompts * moment.extra_s
            others = moment.beside * step_s / moment.step_s
            if beside > moment.nobody or others > moment.beside:
                first_s += moment.extra_s * count_quantile(beside, others, clumping)
            if n:
                first_s += phase * step_s + unseen * moment.step_s
            if 1 - queue < moment.queues:
                first_s -= log((1 - queue) / moment.queues) * moment.queue_s
            token_s = tokens_s[n]
            found.append((first_s, token_s, first_s + max(0.0, answer * osl - 1) * token_s))
        return tuple(found)

    def _averaged(self, n: int) -> float:
        """TPOT of a request that found n: over its life the state forgets, see `window_share`."""
        place = max(1.0, self.mean + self.averaging * (n - self.mean))
        below = min(int(place), self.replica.places)
        low = self.replica.tokens_s[below - 1]
        high = self.replica.tokens_s[min(below, self.replica.places - 1)]
        return low + (place - below) * (high - low)

    def gap_s(self, point: tuple[float, ...]) -> float:
        """One gap between tokens: a step, and the prompts that ride in it."""
        found = self.replica.table[max(1, self._state(point[0])) - 1]
        moment = self._moment(max(1, self._state(point[0])))
        riding = self.arrivals.request_per_s * moment.step_s * found.chunks
        return (
            found.decode_s
            + count_quantile(point[1], riding, max(0.0, self.arrivals.scv - 1)) * found.extra_s / found.chunks
        )
