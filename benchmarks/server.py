"""Plans per second of the HTTP API: a real uvicorn on this machine, every question another.

    python benchmarks/server.py [--workers 2] [--clients 8] [--seconds 10] [--demand users]

Clients keep a connection each and ask as soon as they are answered, on the same cores as the server. Users, lengths and
promises are drawn anew for each question, so no answer can be one already given. Prints answers a second and how long
they took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

MODELS = ("llama-3.1-8b", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "llama-3.3-70b", "openai/gpt-oss-20b")
GPUS = ("h100-sxm", "a100-sxm-80gb", "l40s", "h200-sxm")


def question(rng: random.Random, demand: str) -> dict[str, object]:
    return {
        "model": rng.choice(MODELS),
        "gpu": [rng.choice(GPUS)],
        demand: rng.uniform(10, 20_000) if demand == "users" else rng.uniform(0.1, 100),
        "isl": rng.randint(50, 4000),
        "osl": rng.randint(20, 1000),
        "tokens_per_s": rng.uniform(8, 40),
        "ttft": rng.uniform(0.3, 5),
    }


async def client(port: int, until: float, rng: random.Random, demand: str, took: list[float], seen: Counter) -> None:
    """Asks until the time is up, over one kept connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < until:
        body = json.dumps(question(rng, demand)).encode()
        head = (
            f"POST /plan HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body)
        status, *fields = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        length = next(int(line.split(":")[1]) for line in fields if line.lower().startswith("content-length"))
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        seen[status.split()[1]] += 1
    writer.close()


async def load(port: int, clients: int, seconds: float, demand: str) -> tuple[list[float], Counter]:
    took: list[float] = []
    seen: Counter = Counter()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, until, random.Random(seed), demand, took, seen) for seed in range(clients)))
    return took, seen


def started(port: int, workers: int) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "uvicorn", "--factory", "infrascale.server.app:create", "--port", str(port)]
    server = subprocess.Popen([*line, "--workers", str(workers), "--log-level", "warning"])
    for _ in range(150):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            time.sleep(3)  # every worker has loaded
            return server
        except OSError:
            time.sleep(0.2)
    server.terminate()
    raise SystemExit("the server did not start")


def cpu_s(server: subprocess.Popen[bytes]) -> float:
    """Processor time that the server and its workers have used, from Linux's /proc."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if server.pid in (int(path.parent.name), int(fields[1])):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--demand", choices=("users", "request_per_s"), default="users")
    asked = parser.parse_args()
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    server = started(port, asked.workers)
    try:
        asyncio.run(load(port, asked.clients, 2.0, asked.demand))  # what is loaded once is loaded
        before = cpu_s(server)
        took, seen = asyncio.run(load(port, asked.clients, asked.seconds, asked.demand))
        used = (cpu_s(server) - before) / len(took)
    finally:
        server.terminate()
        server.wait(20)
    took.sort()
    rate = len(took) / asked.seconds
    print(f"{rate:.0f} distinct plans a second, {asked.workers} workers, {asked.clients} clients, by {asked.demand}")
    middle, most = took[len(took) // 2], took[int(0.99 * len(took))]
    print(f"median {1000 * middle:.0f} ms, 99 % {1000 * most:.0f} ms; statuses {dict(seen)}")
    free = f"{asked.workers / used:.0f} a second on {asked.workers} free cores"
    print(f"{1000 * used:.1f} ms of processor time a plan: {free}")


if __name__ == "__main__":
    main()
