"""Seconds of an all-reduce by bytes and by GPUs in the group: NCCL in CUDA graphs, or Gloo between processes of a CPU.

In: a backend, a number of ranks.    Out: (bytes, seconds) pairs.
Engines send small messages by a kernel of their own that beats NCCL: latency known of the generation is kept if lower.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from math import inf

from infrascale.errors import ScenarioError
from infrascale.profiling.kernels import graph_s, library

SIZES = tuple(2**exponent for exponent in range(12, 27, 2))
REPEATS = 20


def all_reduce(backend: str, ranks: int, sizes: Sequence[int] = SIZES) -> list[tuple[int, float]]:
    """Each message size with the seconds of the slowest rank's tenth percentile."""
    torch = library()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    context = torch.multiprocessing.get_context("spawn")
    found = context.SimpleQueue()
    try:
        torch.multiprocessing.spawn(_rank, args=(backend, ranks, tuple(sizes), address, found), nprocs=ranks)
    except Exception as error:  # a rank that fails ends all; the cause is in its text
        why = str(error).strip().splitlines()[-1][:200]
        raise ScenarioError(f"no all-reduce over {ranks}", why=why, fix="--no-links leaves it out") from None
    return found.get()


def _rank(rank: int, backend: str, ranks: int, sizes: Sequence[int], address: str, found) -> None:
    """One process of the group."""
    torch = library()
    distributed = torch.distributed
    gpu = backend == "nccl"
    if gpu:
        torch.cuda.set_device(rank)
    distributed.init_process_group(backend, init_method=address, rank=rank, world_size=ranks)
    rows = []
    for size in sizes:
        data = torch.zeros(size // 2, dtype=torch.bfloat16, device="cuda" if gpu else "cpu")
        mine = torch.tensor([_seconds(lambda data=data: distributed.all_reduce(data), gpu)], dtype=torch.float64)
        slowest = mine.cuda() if gpu else mine
        distributed.all_reduce(slowest, op=distributed.ReduceOp.MAX)
        rows.append((size, float(slowest)))
    if rank == 0:
        found.put(rows)
    distributed.destroy_process_group()


def _seconds(call, gpu: bool) -> float:
    if gpu:
        times = sorted(graph_s(lambda _: call(), 0.2))
        return times[len(times) // 10]
    call()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[REPEATS // 10]


def bus(
    measured: Mapping[int, Sequence[tuple[int, float]]], link_bytes_per_s: float, known: Mapping[int, float]
) -> dict:
    """Latency and share of the link's rate by group size, from all-reduces: t = latency + 2(n−1)/n · bytes / rate."""
    found: dict[str, dict[int, float]] = {"latency_s": {}, "bus_fraction": {}}
    for n, rows in measured.items():
        ring = 2 * (n - 1) / n
        small, (most, seconds) = min(s for _, s in rows), max(rows)
        found["latency_s"][n] = min(small, known.get(n, inf))
        found["bus_fraction"][n] = ring * most / max(seconds - small, 0.2 * seconds) / link_bytes_per_s
    return found
