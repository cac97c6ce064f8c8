"""Prefill and decode on pools of their own: prompts are read by one set of engines, answers written by another.

In: a StepTimer and Limits for each pool, how many engines each has, Workload.    Out: Performance of all together.
Idea: no prompt interrupts decoding, so TPOT is a plain decode step at each engine's share of the requests; TTFT is
the prefill pool's queue, the prompt alone, and the first decode step after its cache has moved.

    tpot = t_dec(b)             b = in flight / decode engines
    ttft = 2 · host + handover + prompt + wait + moving the cache + 3/2 · t_dec(b)   (both front ends; a step under way)

Assumes mean lengths and that requests spread evenly over engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from infrascale.deployment import StepTimer
from infrascale.hardware import Host
from infrascale.serving.performance import Performance, Spread
from infrascale.serving.steady_state import Limits, Waves, decode_batch
from infrascale.work import Batch
from infrascale.workload import Workload

#: Rounds of the fixed point: each halves the distance.
ROUNDS = 24


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Equal engines of one role. `lanes` prompts are read side by side in each (attention-data-parallel ranks)."""

    timer: StepTimer
    limits: Limits
    engines: float
    lanes: float = 1.0

    def prompt_s(self, workload: Workload, prompts: float | None = None) -> float:
        """One prompt on every lane of an idle engine, or `prompts` of them, in chunks of its token budget [s]."""
        prompts = prompts or self.lanes
        tokens = workload.new_tokens * prompts
        chunks = max(1, ceil(tokens / self.limits.step_tokens))
        past = workload.cached_tokens + (chunks - 1) / 2 * tokens / chunks / prompts
        chunk = Batch(prefill_tokens=tokens / chunks, prefill_seqs=prompts, prefill_past_tokens=past)
        return chunks * self.timer(chunk)

    def alone_s(self, workload: Workload) -> float:
        """One prompt while the other lanes have none [s].

        Half of its work is attention, which its own lane does as if all were busy; experts are shared by all.
        """
        return (self.prompt_s(workload) + self.prompt_s(workload, 1.0)) / 2


def disaggregated(
    prefill: Pool,
    decode: Pool,
    workload: Workload,
    host: Host,
    in_flight: float,
    moving_s: float,
    waves: Waves | None = None,
) -> Performance:
    """`in_flight` requests always in the system, over all engines of both pools.

    The wait is the largest of three: a benchmark's first wave, in which all come at once, over its waves; a prefill
    pool too small for the flow (its throughput and Little's law give the wait); a decode pool that is full.
    How many decode depends on the wait, and their step on how many: a damped fixed point.
    """
    waves = waves or Waves()
    full_s, alone_prompt_s = prefill.prompt_s(workload), prefill.alone_s(workload)
    each_s = full_s / (prefill.engines * prefill.lanes)
    first_wave_s = (in_flight - 1) / 2 * each_s / waves.count
    room = decode.engines * decode.limits.running
    decoding, busy = min(in_flight, room), 0.0
    for _ in range(ROUNDS):
        token_s = decode.timer(decode_batch(decoding / decode.engines, workload))
        answer_s = max(0.0, workload.osl_tokens - 1) * token_s
        prompt_s = alone_prompt_s + busy * (full_s - alone_prompt_s)
        front_s = 2 * host.request_s + host.handover_s + host.prompt_token_s * workload.isl_tokens
        alone_s = front_s + prompt_s + moving_s + 1.5 * token_s
        wait_s = max(in_flight * each_s - alone_s - answer_s, first_wave_s, (in_flight / room - 1) * answer_s)
        e2e_s = alone_s + wait_s + answer_s
        busy = min(1.0, in_flight * each_s / e2e_s)
        decoding = (decoding + min(room, max(1.0, in_flight * answer_s / e2e_s))) / 2
    request_per_s = in_flight / e2e_s
    return Performance(
        ttft_s=Spread(mean_s=alone_s + wait_s),
        tpot_s=Spread(mean_s=token_s),
        e2e_s=Spread(mean_s=e2e_s),
        request_per_s=request_per_s,
        output_token_per_s=request_per_s * workload.osl_tokens,
        running_seqs=decoding,
        waiting_seqs=in_flight * wait_s / e2e_s,
        kv_used_fraction=min(1.0, decoding / decode.engines / decode.limits.cached_seqs),
    )
