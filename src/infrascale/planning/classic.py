"""The original InfraScale's formulas, for comparison and for its users: not our prediction, and often far from a test.

In: Scenario, Gpu.    Out: Classic: the fewest GPUs by its four constraints, found by enumeration where it searched.
Source: github.com/etalab-ia/InfraScale, constraints.py (its four constraints) and solver.py (tensor width at most the
batch), read 2026-11-24; only formulas are taken.

    memory      (weights + activations + cache) · 1.2  ≤  vram · S',        S' = 1 + E · (S − 1)
    throughput  Q · tpot · log10(min(Q, 1) · 2^B + 30) / S'  ≤  1 / target
    capacity    users  ≤  N · Q · 2^B
    wait        prefill + (prefill + decoding) · max(0, Q − 1)  ≤  TTFT
    tpot        (prefill + decoding) / osl; each the larger of FLOP and bytes, FLOP at 55 % of the rate;
                decode calibrated by (24 / billions of parameters)^(1 / (24 / billions + 1))

Its known flaws stay: the cache of 2 · layers · hidden whatever the heads, two bytes for all that a decode step reads,
S' the same for every link, queued requests slowing running ones, gigabytes of 2^30 beside 10^9.
Assumed here, where a source leaves it open: E = 0.85 (what its code ran with; its text says 0.15), overhead 20 % (its
earlier default), users = requests in flight, rates dense (its table had sparse ones for the H100 only).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log10

from infrascale.hardware import Gpu
from infrascale.planning.scenario import Scenario
from infrascale.units import GIB

SCALING = 0.85
OVERHEAD = 1.2
FLOP_SHARE = 0.55
MOST_GPUS_PER_NODE = 16
MOST_EXPONENT = 9  # its batches end at 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Classic:
    """S, N, B, Q by the original's formulas, and what they predict."""

    gpu: Gpu
    gpus_per_node: int
    nodes: int
    batch_exponent: int
    load: float
    tpot_s: float
    ttft_s: float
    memory_needed_gib: float

    @property
    def gpus(self) -> int:
        return self.gpus_per_node * self.nodes


def memory_gib(scenario: Scenario, exponent: int, bytes_per_param: float) -> float:
    """Weights in 10^9 bytes beside activations and cache in 2^30: as it was."""
    model, tokens = scenario.model, scenario.workload.max_context_tokens
    activations = 2**exponent * tokens * model.hidden * bytes_per_param / GIB
    return (model.params / 1e9 * bytes_per_param + activations * (1 + 2 * model.layers)) * OVERHEAD


def step_times(scenario: Scenario, gpu: Gpu, exponent: int, bytes_per_param: float) -> tuple[float, float]:
    """Prefill and decoding of one full batch on one GPU [s]."""
    model, load, batch = scenario.model, scenario.workload, float(2**exponent)
    rate, hidden, prompt = FLOP_SHARE * gpu.rate("bf16"), model.hidden, load.isl_tokens
    flop = 2 * batch * model.layers * prompt * hidden * (2 * hidden + prompt)
    moved = bytes_per_param * (model.params + (2 * model.layers + 1) * batch * prompt * hidden)
    prefill_s = max(flop / rate, moved / gpu.hbm_bytes_per_s)
    read = 2 * (model.params + 2 * batch * prompt * hidden + 2 * batch * hidden)
    token_s = max(2 * batch * model.params / rate, read / gpu.hbm_bytes_per_s)
    k = 24 / (model.params / 1e9)
    return prefill_s, token_s * k ** (1 / (k + 1)) * load.osl_tokens


def classic(scenario: Scenario, gpu: Gpu, requests: float, bytes_per_param: float = 2.0) -> Classic | None:
    """The fewest GPUs for `requests` in flight: every S, B, and the largest Q that keeps all; None: infeasible."""
    best: Classic | None = None
    for exponent in range(MOST_EXPONENT + 1):
        memory = memory_gib(scenario, exponent, bytes_per_param)
        prefill_s, decoding_s = step_times(scenario, gpu, exponent, bytes_per_param)
        for gpus in range(1, MOST_GPUS_PER_NODE + 1):
            wider = 1 + SCALING * (gpus - 1)
            if memory > wider * gpu.hbm_bytes / GIB or prefill_s > scenario.promise.ttft_s:
                continue
            token_s = (prefill_s + decoding_s) / scenario.workload.osl_tokens / wider
            most = _largest_load(scenario, exponent, token_s, prefill_s, decoding_s)
            nodes = ceil(requests / (most * 2**exponent)) if most > 0 else 0
            if nodes and (best is None or nodes * gpus < best.gpus):
                load = requests / (nodes * 2**exponent)
                best = Classic(
                    gpu=gpu,
                    gpus_per_node=gpus,
                    nodes=nodes,
                    batch_exponent=exponent,
                    load=load,
                    tpot_s=load * token_s * log10(min(load, 1) * 2**exponent + 30),
                    ttft_s=prefill_s + (prefill_s + decoding_s) * max(0.0, load - 1),
                    memory_needed_gib=memory,
                )
    return best


def _largest_load(scenario: Scenario, exponent: int, token_s: float, prefill_s: float, decoding_s: float) -> float:
    """The largest Q within throughput and wait: both only grow with it; bisected."""

    def keeps(load: float) -> bool:
        slow = load * token_s * log10(min(load, 1) * 2**exponent + 30) * scenario.promise.token_per_s
        wait_s = prefill_s + (prefill_s + decoding_s) * max(0.0, load - 1)
        return slow <= 1 and wait_s <= scenario.promise.ttft_s

    low, high = 0.0, 1 + scenario.promise.ttft_s / (prefill_s + decoding_s)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if keeps(middle) else (low, middle)
    return low
