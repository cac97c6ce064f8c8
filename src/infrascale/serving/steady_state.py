"""A continuously batched replica in equilibrium, and at the start of a benchmark.

In: StepTimer, Workload, Limits (what may run at once), Laws.    Out: Performance, or Saturated.
Idea: a request's answer is decode steps, stretched by the prompts of others that share them:

    tpot(b) = t_dec(b) + (b / osl) · (what one prompt adds to the steps it rides in)

Those beyond what fits wait: TTFT grows, TPOT does not. Two regimes of TTFT are told apart. `STEADY`: prompts arrive
spread out, each waits for the step under way and for the prompts ahead of it in the prefill queue. `BURST`: a
benchmark sends all its clients at once and, outputs being of one length, they go on arriving in waves.
Assumes mean lengths; tails come from the simulator. Knows nothing of GPUs or FLOP.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil

from infrascale.deployment import Deployment, StepTimer, requests_that_fit
from infrascale.hardware import Host
from infrascale.serving.performance import Performance, Saturated, Spread
from infrascale.work import Batch
from infrascale.workload import Workload


class Regime(StrEnum):
    STEADY = "steady"
    BURST = "burst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one replica may do at once: sequences that run, sequences that the cache holds, tokens a step."""

    max_num_seqs: float
    cached_seqs: float
    step_tokens: float

    @property
    def running(self) -> float:
        return min(self.max_num_seqs, self.cached_seqs)


def limits_of(deployment: Deployment, workload: Workload) -> Limits:
    engine = deployment.engine
    return Limits(
        max_num_seqs=engine.max_num_seqs * deployment.shard.dp,
        cached_seqs=requests_that_fit(deployment, workload),
        step_tokens=engine.max_num_batched_tokens * deployment.shard.dp,
    )


def decode_batch(running: float, workload: Workload) -> Batch:
    return Batch(decode_seqs=running, context_tokens=running * workload.mean_context_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """Times that make up a request's life when `running` decode together [s]."""

    decode_s: float  # a step of decoding alone
    prompt_s: float  # the step or steps that carry one new prompt beside the others' decoding
    chunks: int  # how many those are

    @property
    def extra_s(self) -> float:
        """What one prompt adds to the steps it rides in."""
        return max(0.0, self.prompt_s - self.chunks * self.decode_s)


def steps(timer: StepTimer, workload: Workload, limits: Limits, running: float) -> Steps:
    """Step times at a batch of `running`: plain decoding, and with one prompt of the workload in chunks."""
    decode_s = timer(decode_batch(running, workload)) if running > 0 else 0.0
    beside = max(0.0, running - 1)
    room = max(16.0, limits.step_tokens - beside)
    chunks = max(1, ceil(workload.new_tokens / room))
    chunk = workload.new_tokens / chunks
    middle = workload.cached_tokens + (chunks - 1) / 2 * chunk  # past of the average chunk
    mixed = Batch(
        prefill_tokens=chunk,
        prefill_seqs=1.0,
        prefill_past_tokens=middle,
        decode_seqs=beside,
        context_tokens=beside * workload.mean_context_tokens,
    )
    return Steps(decode_s=decode_s, prompt_s=chunks * timer(mixed), chunks=chunks)


def tpot_s(found: Steps, workload: Workload, running: float) -> float:
    """Time per output token after the first, at `running` in the batch [s]."""
    return found.decode_s + running / max(1.0, workload.osl_tokens) * found.extra_s


def closed_loop(
    timer: StepTimer,
    workload: Workload,
    limits: Limits,
    host: Host,
    laws: dict[str, float],
    in_flight: float,
    regime: Regime = Regime.STEADY,
) -> Performance:
    """`in_flight` requests always in the system: min(in_flight, what may run) run, the rest wait."""
    running = min(in_flight, limits.running)
    found = steps(timer, workload, limits, running)
    token_s = tpot_s(found, workload, running)
    first_s = first_token_s(found, workload, host, laws, running, token_s, regime)
    residence_s = first_s + max(0.0, workload.osl_tokens - 1) * token_s
    waiting = in_flight - running
    waits_s = waiting / running * residence_s
    return _performance(first_s + waits_s, token_s, workload, running, waiting, limits)


def first_token_s(
    found: Steps,
    workload: Workload,
    host: Host,
    laws: dict[str, float],
    running: float,
    token_s: float,
    regime: Regime,
) -> float:
    """Arrival to first token of a request that is admitted at once [s].

        host + r · (step under way) + own prefill + prefill of those ahead

    Those ahead: in equilibrium a queue of utilisation ρ = rate · extra seen by one of b clients; in a burst a share
    of the b − 1 others.
    """
    own_s = host.request_s + host.prompt_token_s * workload.isl_tokens + found.prompt_s
    residual = laws["burst_residual_step" if regime is Regime.BURST else "residual_step"]
    under_way_s = residual * found.decode_s * min(1.0, running - 1) if running > 1 else 0.0
    if regime is Regime.BURST:
        share = laws["burst_share"] * (running / (running + laws["burst_half"]))
        ahead_s = share * max(0.0, running - 1) * found.extra_s
    else:
        cycle_s = own_s + max(0.0, workload.osl_tokens - 1) * token_s
        busy = min(0.98, max(0.0, running - 1) * found.extra_s / cycle_s)
        ahead_s = busy / (1 - busy) * found.extra_s / 2 + busy * found.extra_s / 2
    return own_s + under_way_s + ahead_s


def open_loop(
    timer: StepTimer,
    workload: Workload,
    limits: Limits,
    host: Host,
    laws: dict[str, float],
    request_per_s: float,
) -> Performance | Saturated:
    """Poisson arrivals at `request_per_s`: the number running solves  b = rate · residence(b)  (Little's law)."""

    def residence(running: float) -> tuple[float, float]:
        found = steps(timer, workload, limits, max(running, 1.0))
        token_s = tpot_s(found, workload, running)
        first = first_token_s(found, workload, host, laws, max(running, 1.0), token_s, Regime.STEADY)
        return first, token_s

    def surplus(running: float) -> float:
        first, token = residence(running)
        return request_per_s * (first + max(0.0, workload.osl_tokens - 1) * token) - running

    most = limits.running
    if surplus(most) > 0:
        first, token = residence(most)
        return Saturated(request_per_s=most / (first + max(0.0, workload.osl_tokens - 1) * token))
    low, high = 0.0, most
    while high - low > 1e-4 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if surplus(middle) > 0 else (low, middle)
    first, token = residence(high)
    return _performance(first, token, workload, high, 0.0, limits)


def _performance(
    first_s: float, token_s: float, workload: Workload, running: float, waiting: float, limits: Limits
) -> Performance:
    e2e_s = first_s + max(0.0, workload.osl_tokens - 1) * token_s
    request_per_s = (running + waiting) / e2e_s
    return Performance(
        ttft_s=Spread(mean_s=first_s),
        tpot_s=Spread(mean_s=token_s),
        e2e_s=Spread(mean_s=e2e_s),
        request_per_s=request_per_s,
        output_token_per_s=request_per_s * workload.osl_tokens,
        running_seqs=running,
        waiting_seqs=waiting,
        kv_used_fraction=min(1.0, running / limits.cached_seqs) if limits.cached_seqs else 1.0,
    )
