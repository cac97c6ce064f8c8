"""Seconds of each shape, by PyTorch: in a CUDA graph on a GPU, call by call on a CPU.

In: a device, shapes, seconds that may be spent.    Out: Device (what it is), samples (shape, seconds).
Weights and caches are taken from a ring of copies larger than the cache next to the cores, as a model's layers are.
What interrupts a kernel only lengthens it, so a low percentile of the repetitions counts, on a shared CPU the least;
where the median is far above it the machine was busy, which the notes then say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrascale.errors import ScenarioError
from infrascale.profiling.shapes import GATE, HEAD, Between, Decode, Gemm, Prefill, Shape, Sum

if TYPE_CHECKING:
    import torch

#: Bytes that a ring of operands covers, and its most copies: several times a GPU's last cache, a small model on a CPU.
RING_BYTES = {"cuda": 400e6, "cpu": 64e6}
MOST_COPIES = 64
#: Calls in one CUDA graph, so that launching the graph itself does not count.
CALLS = 16
#: Repetitions quicker than what counts, as a share; ratio of the median to it beyond which a shape was disturbed.
COUNTED = {"cuda": 0.1, "cpu": 0.0}
DISTURBED = 1.5
#: How often all shapes are gone through, so that what disturbs for seconds does not spoil one shape.
PASSES = {"cuda": 1, "cpu": 3}
Call = Callable[[int], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """What is measured: `kind` cuda or cpu, its name as the driver says it, its memory, and how many there are."""

    kind: str
    name: str
    memory_bytes: float
    free_bytes: float
    count: int
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Seconds of one call [s]."""

    shape: Shape
    seconds: float


def library() -> Any:
    """PyTorch, or what to do without it."""
    try:
        import torch
    except ImportError:
        raise ScenarioError(
            "nothing can be measured",
            why="PyTorch is not installed",
            fix="pip install torch, or use vLLM's environment",
        ) from None
    return torch


def device(wanted: str = "auto", threads: int | None = None) -> Device:
    """The GPU that PyTorch sees first, else this CPU; or the one that is wanted.

    A CPU computes with `threads`, by default one less than it has cores: what vLLM leaves to the engine there, whose
    scheduler gets a core of its own (vllm/utils/ompmultiprocessing.py of 0.32, `reserve_cpu_num`).
    """
    torch = library()
    if wanted not in ("auto", "cuda", "cpu"):
        raise ScenarioError(f"no device {wanted[:20]!r}", why="there are three words", fix="auto, cuda or cpu")
    there = torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise ScenarioError("no GPU is there", why="PyTorch sees none", fix="--device cpu, or see nvidia-smi")
    if there and wanted != "cpu":
        free, total = torch.cuda.mem_get_info(0)
        software = f"torch {torch.__version__}, CUDA or ROCm {torch.version.cuda or torch.version.hip}"
        name = torch.cuda.get_device_name(0)
        count = torch.cuda.device_count()
        return Device(kind="cuda", name=name, memory_bytes=total, free_bytes=free, count=count, software=software)
    name, total, free = _processor()
    torch.set_num_threads(threads or max(1, torch.get_num_threads() - 1))
    software = f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    return Device(kind="cpu", name=name, memory_bytes=total, free_bytes=free, count=1, software=software)


def _processor() -> tuple[str, float, float]:
    """Name, memory and free memory of this machine, as Linux says."""
    import os
    import platform
    from pathlib import Path

    def lines(path: str) -> list[str]:
        return Path(path).read_text().splitlines() if Path(path).exists() else []

    named = (line.split(":", 1)[1].strip() for line in lines("/proc/cpuinfo") if line.startswith("model name"))
    memory = {line.split(":")[0]: float(line.split()[1]) * 1024 for line in lines("/proc/meminfo")}
    total = memory.get("MemTotal") or float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return next(named, platform.processor() or platform.machine()), total, memory.get("MemAvailable", total / 2)


def measure(
    on: Device, wanted: Sequence[Shape], budget_s: float, progress: Callable[[int, int], None] | None = None
) -> tuple[list[Sample], list[str]]:
    """Every shape within the budget, and a sentence on each that the device refused."""
    torch = library()
    timed = graph_s if on.kind == "cuda" else _call_s
    best: dict[Shape, float] = {}
    refused: dict[Shape, str] = {}
    disturbed, done, turns = 0, 0, PASSES[on.kind] * len(wanted)
    deadline = time.monotonic() + budget_s
    with torch.inference_mode():
        for shape in list(wanted) * PASSES[on.kind]:
            left = (deadline - time.monotonic()) / (turns - done)
            try:
                call = _call(shape, on)
                seconds = sorted(timed(call, max(0.002, left)))
                del call
                counted, middle = seconds[int(COUNTED[on.kind] * len(seconds))], seconds[len(seconds) // 2]
                best[shape] = min(counted, best.get(shape, counted))
                disturbed += middle > DISTURBED * counted
            except (
                RuntimeError,
                NotImplementedError,
            ) as error:  # a kernel that is missing, or memory that is not there
                refused[shape] = f"{shape}: {str(error).splitlines()[0][:120]}"
            done += 1
            if progress:
                progress(done, turns)
    notes = list(refused.values())
    if disturbed > turns / 4:
        share = f"{disturbed} of {turns} measurements"
        notes.append(f"{share} were disturbed: measure again when the machine is quiet")
    return [Sample(shape=shape, seconds=seconds) for shape, seconds in best.items()], notes


def _call(shape: Shape, on: Device) -> Call:
    """A function that runs the shape once, on the next of its copies."""
    torch = library()
    new = {"dtype": torch.bfloat16, "device": on.kind}
    functional = torch.nn.functional
    match shape:
        case Gemm(rows, inputs, outputs):
            weights = [torch.randn(outputs, inputs, **new) for _ in range(_copies(2 * inputs * outputs, on))]
            given = torch.randn(rows, inputs, **new)
            return lambda i: functional.linear(given, weights[i % len(weights)])
        case Decode(seqs, context, heads, kv_heads):
            # The heads that share a key are rows of one query: the cache is read once, as engines do.
            asked = torch.randn(seqs, kv_heads, heads // kv_heads, HEAD, **new)
            each = 4 * seqs * kv_heads * context * HEAD
            caches = [torch.randn(2, seqs, kv_heads, context, HEAD, **new) for _ in range(_copies(each, on))]
            attention = functional.scaled_dot_product_attention
            return lambda i: attention(asked, caches[i % len(caches)][0], caches[i % len(caches)][1])
        case Prefill(tokens, heads, kv_heads):
            asked = torch.randn(1, heads, tokens, HEAD, **new)
            keys, values = (torch.randn(1, kv_heads, tokens, HEAD, **new) for _ in range(2))
            attention = functional.scaled_dot_product_attention
            return lambda i: attention(asked, keys, values, is_causal=True, enable_gqa=True)
        case Between(rows, width):
            return _between(torch, rows, width, new)
        case Sum(elements):
            parts = [torch.randn(3, elements, **new) for _ in range(_copies(6 * elements, on))]
            return lambda i: torch.add(*parts[i % len(parts)][:2], out=parts[i % len(parts)][2])


def _between(torch: Any, rows: int, width: int, new: dict[str, Any]) -> Call:
    """A residual, a norm in fp32 and half a gate, one operator after the other."""
    given, kept, scale = (torch.randn(size, **new) for size in ((rows, width), (rows, width), (width,)))
    inner = round(GATE * width / 2)
    gated = torch.randn(rows, 2 * inner, **new)
    silu = torch.nn.functional.silu

    def call(_: int) -> Any:
        wide = given.float() + kept.float()
        residual = wide.to(torch.bfloat16)
        normed = wide * torch.rsqrt(wide.pow(2).mean(dim=-1, keepdim=True) + 1e-6)
        return residual, normed.to(torch.bfloat16) * scale, silu(gated[:, :inner]) * gated[:, inner:]

    return call


def _copies(each_bytes: float, on: Device) -> int:
    return int(max(1, min(MOST_COPIES, RING_BYTES[on.kind] / each_bytes, on.free_bytes / 2 / each_bytes)))


def _call_s(call: Call, budget_s: float) -> list[float]:
    """Of single calls, on the clock of the host [s]."""
    call(0)
    seconds: list[float] = []
    deadline = time.monotonic() + budget_s
    while len(seconds) < 5 or (time.monotonic() < deadline and len(seconds) < 2000):
        start = time.perf_counter()
        call(len(seconds))
        seconds.append(time.perf_counter() - start)
    return seconds


def graph_s(call: Call, budget_s: float) -> list[float]:
    """Of one call within a CUDA graph of `CALLS`, each time on the clock of the GPU [s]."""
    torch = library()
    graph = _captured(torch, call)
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    seconds: list[float] = []
    deadline = time.monotonic() + budget_s
    while len(seconds) < 5 or (time.monotonic() < deadline and len(seconds) < 200):
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        seconds.append(start.elapsed_time(end) / 1000 / CALLS)
    return seconds


def _captured(torch: Any, call: Call) -> torch.cuda.CUDAGraph:
    """The calls as one graph, after a run outside it on a stream of its own, as capture demands."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for turn in range(3):
            call(turn)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for turn in range(CALLS):
            call(turn)
    graph.replay()
    torch.cuda.synchronize()
    return graph


def launch_s(on: Device) -> float:
    """Host time to hand one small kernel to the device, outside any graph [s]: what eager engines pay an operator."""
    torch = library()
    small = torch.zeros(1, device=on.kind)
    times: list[float] = []
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            small.add_(1)
        times.append((time.perf_counter() - start) / 50)
        if on.kind == "cuda":
            torch.cuda.synchronize()
    return sorted(times)[2]
