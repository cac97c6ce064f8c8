"""A continuously batched replica in equilibrium, and at the start of a benchmark.

In: StepTimer, Workload, Limits (what may run at once), Laws.    Out: Performance, or Saturated.
Idea: a request's answer is decode steps, stretched by the prompts of others that share them:

    tpot(b) = t_dec(b) + (b / osl) · (what one prompt adds to the steps it rides in)

Those beyond what fits wait: TTFT grows, TPOT does not. Two regimes are told apart. `STEADY`: prompts arrive spread
out, each waits for the step under way and for the prompts ahead of it in the prefill queue. `BURST`: a benchmark
sends all its clients at once, and they come back in waves until its requests are used up.
Assumes mean lengths; tails come from the simulator. Knows nothing of GPUs or FLOP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import ceil, exp, floor, hypot, sqrt

from infrascale.deployment import Deployment, StepTimer, requests_that_fit
from infrascale.hardware import Host
from infrascale.hardware.efficiency import release_of
from infrascale.serving.lockstep import Groups
from infrascale.serving.performance import Performance, Saturated, Spread
from infrascale.work import Batch
from infrascale.workload import Workload

#: The release since which an engine composes a step while the one before it runs.
AHEAD_SINCE = {"vllm": (0, 14), "sglang": (0, 4), "trtllm": (1,)}


class Regime(StrEnum):
    STEADY = "steady"
    BURST = "burst"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waves:
    """A benchmark's closed loop: `count` requests a client, one after the other, all clients started at once.

    `length_spread` is the width of the output lengths over their mean: what pulls the waves apart. `one_length`: every
    answer has the same number of tokens, so that clients keep step (`lockstep`).
    """

    count: float = 6.0
    length_spread: float = 0.0
    one_length: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one replica may do at once: sequences that run, sequences that the cache holds, tokens a step.

    `unseen_steps`: whole steps already scheduled when a request comes. `first_text_steps`: steps between the first
    token and the first text that leaves an engine which sends its tokens in lots.
    """

    max_num_seqs: float
    cached_seqs: float
    step_tokens: float
    prompts_first: bool = False
    admission_wait_steps: float = 0.0
    unseen_steps: float = 0.0
    first_text_steps: float = 0.0

    @property
    def running(self) -> float:
        return min(self.max_num_seqs, self.cached_seqs)

    @property
    def takes_any_step(self) -> bool:
        """Whether prompts join the answers under way in any step, as vLLM has it."""
        return not self.prompts_first and not self.admission_wait_steps


def limits_of(deployment: Deployment, workload: Workload) -> Limits:
    engine = deployment.engine
    return Limits(
        max_num_seqs=engine.max_num_seqs * deployment.shard.dp,
        cached_seqs=requests_that_fit(deployment, workload),
        step_tokens=engine.max_num_batched_tokens * deployment.shard.dp,
        prompts_first=engine.prompts_first,
        admission_wait_steps=engine.admission_wait_steps,
        unseen_steps=steps_until_seen(deployment),
        first_text_steps=engine.first_text_steps,
    )


def steps_until_seen(deployment: Deployment) -> float:
    """Whole steps that pass before a new request is in one, after the step under way.

    With async scheduling step k + 1 is composed while k runs, so who arrives during k enters k + 2.
    Source: vLLM 0.14.0 (2026-01-17) turns it on by default, not for pipelines; SGLang 0.4 (its pull request 2067) and
    TensorRT-LLM's PyTorch runtime, the default from 1.0 on (4174), did before. Where it is off, the next step is free.
    Never on a CPU (vllm/platforms/cpu.py of 0.32: "async scheduling is not required on CPU").
    """
    engine = deployment.engine
    if deployment.gpu.form_factor == "cpu":
        return 0.0
    release = release_of(engine.version) if engine.version else ()
    since = AHEAD_SINCE.get(engine.name)
    return 1.0 if since and (not release or release >= since) else 0.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatches:
    """The steps that a request's life is made of at `running` in the batch, and how many carry one prompt.

    `apart`: a step full of prompts and nothing else; `apart_each` such steps go to one prompt.
    """

    decode: Batch
    mixed: Batch
    chunks: int
    apart: Batch
    apart_each: float


def step_batches(workload: Workload, limits: Limits, running: float) -> StepBatches:
    """Plain decoding, one chunk of a new prompt beside the others' decoding, and prompts by themselves."""
    beside = max(0.0, running - 1)
    room = max(16.0, limits.step_tokens - beside)
    chunks = max(1, ceil(workload.new_tokens / room))
    chunk = workload.new_tokens / chunks
    mixed = Batch(
        prefill_tokens=chunk,
        prefill_seqs=1.0,
        prefill_past_tokens=workload.cached_tokens + (chunks - 1) / 2 * chunk,  # past of the average chunk
        decode_seqs=beside,
        context_tokens=beside * workload.mean_context_tokens,
    )
    parts = max(1, ceil(workload.new_tokens / limits.step_tokens))
    together = max(1.0, min(running, limits.step_tokens // max(1.0, workload.new_tokens)))
    apart = Batch(
        prefill_tokens=together * workload.new_tokens / parts,
        prefill_seqs=together,
        prefill_past_tokens=workload.cached_tokens + (parts - 1) / 2 * workload.new_tokens / parts,
    )
    return StepBatches(
        decode=decode_batch(running, workload), mixed=mixed, chunks=chunks, apart=apart, apart_each=parts / together
    )


def steps(timer: StepTimer, workload: Workload, limits: Limits, running: float) -> Steps:
    """Step times at a batch of `running`: plain decoding, and with one prompt of the workload in chunks."""
    found = step_batches(workload, limits, running)
    return Steps(
        decode_s=timer(found.decode) if running > 0 else 0.0,
        prompt_s=found.chunks * timer(found.mixed),
        chunks=found.chunks,
    )


def tpot_s(found: Steps, workload: Workload, running: float) -> float:
    """Time per output token after the first, at `running` in the batch [s]."""
    return found.decode_s + running / max(1.0, workload.osl_tokens) * found.extra_s


def prompts_fraction(found: Steps, workload: Workload, running: float) -> float:
    """Share of the time that prompts take from the answers of `running` in the batch."""
    prompts_s = tpot_s(found, workload, running) - found.decode_s
    return prompts_s / (prompts_s + found.decode_s) if prompts_s > 0 else 0.0


def closed_loop(
    timer: StepTimer,
    workload: Workload,
    limits: Limits,
    host: Host,
    laws: dict[str, float],
    in_flight: float,
    regime: Regime = Regime.STEADY,
    waves: Waves | None = None,
) -> Performance:
    """`in_flight` requests always in the system: min(in_flight, what may run) run, the rest wait.

    In a burst the last wave meets only half of the usual prompts, those of its own that come later. A share of a
    prompt's host time, `burst_front`, passes through one process: the first wave queues there too.
    """
    running = min(in_flight, limits.running)
    waves = waves or Waves()
    if regime is Regime.BURST and waves.one_length and limits.takes_any_step and in_flight <= limits.running:
        groups = groups_of(timer, workload, limits, host, laws, running)
        spread, token_s = groups.first_token_s(waves.count), groups.token_s(workload.osl_tokens, waves.count)
        spread, token_s = as_sent(spread, token_s, workload, limits)
        return _performance(spread, token_s, workload, running, 0.0, limits)
    found = steps(timer, workload, limits, running)
    if regime is Regime.BURST and limits.prompts_first:
        token_s, first_s = prompts_first_s(timer, workload, limits, host, laws, running, waves)
    elif regime is Regime.BURST:
        token_s = tpot_s(found, workload, running * (1 - 0.5 / waves.count))
        alone_s = _own_s(found, workload, host)
        alone_s += laws["burst_front"] * _host_s(workload, host) * max(0.0, running - 1) / 2 / waves.count
        first_s = alone_s + burst_wait_s(found, workload, limits, laws, running, waves)
        steps_waited, together = admission(limits, workload, running)
        first_s += (1 - 1 / waves.count) * (steps_waited * found.decode_s + together / 2 * found.extra_s)
    else:
        token_s = tpot_s(found, workload, running)
        first_s = first_token_s(found, workload, host, laws, running, token_s)
    residence_s = first_s + max(0.0, workload.osl_tokens - 1) * token_s
    waiting = in_flight - running
    waits_s = waiting / running * residence_s
    spread, token_s = as_sent(Spread(mean_s=first_s + waits_s), token_s, workload, limits)
    return _performance(spread, token_s, workload, running, waiting, limits)


def as_sent(first: Spread, token_s: float, workload: Workload, limits: Limits) -> tuple[Spread, float]:
    """TTFT and TPOT as a client sees them of an engine whose first text leaves k steps after the first token [s].

    ttft + k · tpot        tpot · (1 − k / (osl − 1))        so the answer ends when it did
    """
    after = max(1.0, workload.osl_tokens - 1)
    steps_later = min(limits.first_text_steps, after)
    if not steps_later:
        return first, token_s
    later_s = steps_later * token_s
    quantiles_s = {share: seconds + later_s for share, seconds in first.quantiles_s.items()}
    return replace(first, mean_s=first.mean_s + later_s, quantiles_s=quantiles_s), token_s * (1 - steps_later / after)


def groups_of(
    timer: StepTimer, workload: Workload, limits: Limits, host: Host, laws: dict[str, float], running: float
) -> Groups:
    """Clients of answers of one length, in groups of as many prompts as a step has room for."""
    batches = step_batches(workload, limits, running)
    room = max(16.0, limits.step_tokens - running)
    each = max(1.0, min(running, float(floor(room / workload.new_tokens))))
    alone_s = batches.chunks * timer(batches.mixed)
    return Groups(
        clients=max(1.0, running),
        each=each,
        chunks=batches.chunks,
        decode_s=timer(batches.decode),
        alone_s=batches.chunks * timer(replace(batches.mixed, decode_seqs=0.0, context_tokens=0.0)),
        together_s=timer(_group(workload, each, running)) if each > 1 else alone_s,
        host_s=_host_s(workload, host),
        front_s=laws["burst_front"] * _host_s(workload, host),
        unseen_steps=limits.unseen_steps,
    )


def _group(workload: Workload, each: float, running: float) -> Batch:
    """A step that reads `each` prompts while the others decode."""
    beside = max(0.0, running - each)
    return Batch(
        prefill_tokens=each * workload.new_tokens,
        prefill_seqs=each,
        prefill_past_tokens=workload.cached_tokens,
        decode_seqs=beside,
        context_tokens=beside * workload.mean_context_tokens,
    )


def _own_s(found: Steps, workload: Workload, host: Host) -> float:
    """Host and prefill time of one prompt that nobody delays [s]."""
    return _host_s(workload, host) + found.prompt_s


def _host_s(workload: Workload, host: Host) -> float:
    return host.request_s + host.prompt_token_s * workload.isl_tokens


def first_token_s(
    found: Steps, workload: Workload, host: Host, laws: dict[str, float], running: float, token_s: float
) -> float:
    """Arrival to first token, in equilibrium, of a request that is admitted at once [s].

        host + own prefill + r · (step under way) + prefill of those ahead

    Those ahead: a queue of utilisation ρ = (b − 1) · extra / cycle, seen by one of b clients. Their wait is part of
    the cycle, so however short the answers, no more prompts are read than fit:

        cycle = alone + extra / 2 · (ρ / (1 − ρ) + ρ)
    """
    own_s = _own_s(found, workload, host)
    under_way_s = laws["residual_step"] * found.decode_s * min(1.0, running - 1) if running > 1 else 0.0
    alone_s = own_s + under_way_s + max(0.0, workload.osl_tokens - 1) * token_s
    read_s = max(0.0, running - 1) * found.extra_s  # all others' prompts
    cycle_s = max(alone_s, read_s)
    for _ in range(4):
        known_s = alone_s + found.extra_s / 2 * read_s / cycle_s
        cycle_s = (known_s + read_s + sqrt((known_s - read_s) ** 2 + 2 * found.extra_s * read_s)) / 2
    return own_s + under_way_s + cycle_s - alone_s


def burst_wait_s(
    found: Steps, workload: Workload, limits: Limits, laws: dict[str, float], running: float, waves: Waves
) -> float:
    """Mean wait until the step of one's own prompt, over the waves of a benchmark [s].

    wave 0: all at once: (b − 1) / 2 · φ, φ the time a prompt holds the prefill queue; a prompt ends with its step,
            so of g that share one each waits for (g − 1) / 2 more
    wave k: the steps under way and already scheduled, and the prompts met (`later_waits`)
    """
    first_wave_s = max(0.0, running - 1) / 2 * held_s(found, workload, limits)
    shared = min(max(0.0, running - 1), float(limits.step_tokens // max(1.0, workload.new_tokens)))
    first_wave_s += max(0.0, shared - 1) / 2 * found.extra_s
    steps_met = laws["burst_residual_step"] + limits.unseen_steps
    under_way_s = steps_met * found.decode_s * min(1.0, running - 1)
    met_s = sum(wait_s for _, wait_s in later_waits(found, workload, limits, laws, running, waves))
    return (first_wave_s + laws["burst_resync"] * met_s + (waves.count - 1) * under_way_s) / waves.count


def held_s(found: Steps, workload: Workload, limits: Limits) -> float:
    """Time for which one prompt holds the prefill queue [s]."""
    return found.extra_s + found.decode_s * min(1.0, workload.new_tokens / limits.step_tokens)


def later_waits(
    found: Steps, workload: Workload, limits: Limits, laws: dict[str, float], running: float, waves: Waves
) -> list[tuple[float, float]]:
    """Of each wave after the first: the chance to meet other prompts, and what they add to the wait on average [s].

    The clock of a wave is the step, not the second: answers grow by one token a step, however many prompts make it
    longer. With f steps to read a prompt, b prompts come back over w_k = √((b·f)² + k·(spread·osl)²) steps, λ_k =
    (b − 1) / w_k a step. Each meets a queue of utilisation ρ = λ_k·f, and λ_k prompts in each step that it waits for
    (r, and those already scheduled) and in its own (of which the half before it is in the queue's law):

        φ·ρ / 2(1 − ρ) + (r + scheduled + 1/2) · λ_k · extra

    Outputs of one length keep the order and the gaps of wave 0, so its followers find the queue empty.
    """
    if waves.length_spread <= 0 or running <= 1:
        return [(0.0, 0.0)] * (int(waves.count) - 1)
    each_s, part = held_s(found, workload, limits), workload.new_tokens / limits.step_tokens
    most_s, waits = (running - 1) / 2 * each_s, []
    steps_met = laws["burst_residual_step"] + limits.unseen_steps + 0.5
    for wave in range(1, int(waves.count)):
        a_step = (running - 1) / hypot(running * part, wave**0.5 * waves.length_spread * workload.osl_tokens)
        busy = min(0.98, a_step * part)
        queued_s = min(most_s, each_s * busy / (2 * (1 - busy)))
        alone = (1 - busy) * exp(-steps_met * a_step)
        waits.append((1 - alone, queued_s + steps_met * a_step * found.extra_s))
    return waits


def admission(limits: Limits, workload: Workload, running: float) -> tuple[float, float]:
    """Steps that a prompt waits for admission beside answers, and how many others are admitted with it.

    The engine looks for prompts every k steps: k / 2. Or the first to wait starts a timer of k steps, of n that come
    meanwhile each waits half as long, and prompts that fill a step end it:

        k · (1 + n / 2) / (1 + n)        n = k · (b − 1) / osl
    """
    most = limits.admission_wait_steps
    if not most:
        return 0.0, 0.0
    every = max(0.0, running - 1) / max(1.0, workload.osl_tokens)  # prompts a step
    if limits.prompts_first:
        return most / 2, most * every
    full = limits.step_tokens / max(1.0, workload.new_tokens) - 1
    waited = min(most, max(0.0, full) / every) if every > 0 else most
    others = waited * every
    return waited * (1 + others / 2) / (1 + others), others


def prompts_first_s(
    timer: StepTimer,
    workload: Workload,
    limits: Limits,
    host: Host,
    laws: dict[str, float],
    running: float,
    waves: Waves,
) -> tuple[float, float]:
    """TPOT and TTFT where no answer goes on while a prompt waits [s].

    All who came together start answering when the last prompt is read, so that outputs of one length end together and
    all come back together: every wave is the first. Of the b − 1 others' prompts, those read before one's own, n, hold
    up the first token and the rest the answer:

        tpot = t_dec + (b − 1 − n) · φ / osl        ttft = host + φ + (1 − o)·(r + u)·t_dec + n·φ

    Wave k is spread over w_k = √k·spread·answer. Prompts that come faster than they are read, b·φ > w_k, pile up to
    (b − w_k/φ) / 2; slower ones wait as before a single server. o: the share of n in (b − 1) / 2;
    u: steps already scheduled when a prompt comes.
    """
    batches = step_batches(workload, limits, running)
    decode_s, each_s = timer(batches.decode), batches.apart_each * timer(batches.apart)
    answer_s = max(0.0, workload.osl_tokens - 1) * (decode_s + running * each_s / max(1.0, workload.osl_tokens))
    others, count = max(0.0, running - 1), max(1, int(waves.count))
    apart = [wave**0.5 * waves.length_spread * answer_s / each_s for wave in range(count)]  # in prompts
    ahead = sum(prompts_ahead(running, width) for width in apart) / count
    together = 2 * ahead / others if others else 1.0
    token_s = decode_s + (others - ahead) * each_s / max(1.0, workload.osl_tokens)
    steps_met = laws["burst_residual_step"] + limits.unseen_steps
    under_way_s = steps_met * decode_s * min(1.0, running - 1) * (1 - together)
    waited, beside = admission(limits, workload, running)
    admitted_s = (1 - together) * (waited * decode_s + beside * each_s)
    return token_s, _host_s(workload, host) + each_s + under_way_s + admitted_s + ahead * each_s


def prompts_ahead(running: float, apart: float) -> float:
    """Prompts that the average of `running` finds ahead, when all come within the time that reads `apart` prompts."""
    busy = running / hypot(running, apart)
    queue = busy / (2 * (1 - busy)) if busy < 1 else running
    return min(max(0.0, running - 1) / 2, max((running - apart) / 2, queue))


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
        first = first_token_s(found, workload, host, laws, max(running, 1.0), token_s)
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
    return _performance(Spread(mean_s=first), token, workload, high, 0.0, limits)


def _performance(
    first: Spread, token_s: float, workload: Workload, running: float, waiting: float, limits: Limits
) -> Performance:
    e2e_s = first.mean_s + max(0.0, workload.osl_tokens - 1) * token_s
    request_per_s = (running + waiting) / e2e_s
    return Performance(
        ttft_s=first,
        tpot_s=Spread(mean_s=token_s),
        e2e_s=Spread(mean_s=e2e_s),
        request_per_s=request_per_s,
        output_token_per_s=request_per_s * workload.osl_tokens,
        running_seqs=running,
        waiting_seqs=waiting,
        kv_used_fraction=min(1.0, running / limits.cached_seqs) if limits.cached_seqs else 1.0,
    )
