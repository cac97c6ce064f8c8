"""The simulator beside public ones that install from PyPI, on the same workload.

    python -m venv sims && sims/bin/pip install --no-deps ai-dynamo-runtime && sims/bin/pip install vllm-sr-sim
    python benchmarks/public_simulators.py --python sims/bin/python

10,000 requests at 20 a second, 512 tokens in and 256 out, one replica of Llama-3.1-8B on an H100 (and eight at 160 a
second): seconds from the first request to the last answer, imports and compilation left out, the best of three, turn
and turn about. What they predict is theirs: step times differ, so the times are printed and not compared. vidur's wheel
holds no profile, so it cannot be run from PyPI alone.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np

COUNT, ISL, OSL, RATE = 10_000, 512, 256, 20.0

DYNAMO = """
import json, sys, time
from dynamo._core import run_mocker_synthetic_trace_replay as replay
count, isl, osl, rate, replicas = json.loads(sys.argv[1])
begun = time.perf_counter()
found = replay(isl, osl, count, request_rate=rate, num_workers=replicas).summary
wall = time.perf_counter() - begun
print(json.dumps([wall, found["mean_ttft_ms"] / 1e3, found["completed_requests"]]))
"""

FLEET_SIM = """
import json, random, sys, time
from fleet_sim import H100_80GB, Fleet, FleetConfig, PoolConfig, Request
count, isl, osl, rate, replicas = json.loads(sys.argv[1])
rng, clock, arrivals = random.Random(1), 0.0, []
for i in range(count):
    clock += rng.expovariate(rate)
    arrivals.append((clock, Request(req_id=i, arrival_time=clock, l_in=isl, l_out=osl)))
pool = PoolConfig("all", H100_80GB, replicas, 8192)
fleet = Fleet(FleetConfig([pool], router_type="LeastLoadedRouter"))
begun = time.perf_counter()
found = fleet.run(arrivals)
wall = time.perf_counter() - begun
done = [request for _, request in arrivals if request.ttft is not None]
print(json.dumps([wall, sum(request.ttft for request in done) / max(1, len(done)), len(done)]))
"""


def theirs(python: str, script: str, replicas: int) -> list[float] | str:
    asked = json.dumps([COUNT, ISL, OSL, RATE * replicas, replicas])
    done = subprocess.run([python, "-c", script, asked], capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    return json.loads(lines[-1]) if lines else (done.stderr.strip().splitlines() or ["no answer"])[-1]


def ours() -> Callable[[int], list[float]]:
    import time

    from simulator_speed import replica_of

    from infrascale.serving.simulation.fleet import Fleet, Requests, simulate_fleet

    table, settings = replica_of()

    def run(replicas: int) -> list[float]:
        gaps = np.random.default_rng(1).exponential(1 / RATE / replicas, COUNT)
        asked = Requests(arrival_s=np.cumsum(gaps), isl_tokens=np.full(COUNT, ISL), osl_tokens=np.full(COUNT, OSL))
        begun = time.perf_counter()
        found = simulate_fleet(asked, table, settings, Fleet(replicas=replicas))
        wall = time.perf_counter() - begun
        return [wall, float((found.first_ps - found.arrival_ps).mean()) / 1e12, int((found.last_ps >= 0).sum())]

    run(1)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable)
    python = parser.parse_args().python
    mine = ours()
    ways: dict[str, Callable[[int], list[float] | str]] = {
        "InfraScale": mine,
        "ai-dynamo-runtime replay": lambda replicas: theirs(python, DYNAMO, replicas),
        "vllm-sr-sim": lambda replicas: theirs(python, FLEET_SIM, replicas),
    }
    print(f"{'simulator':<28}{'replicas':>9}{'seconds':>9}{'requests/s':>12}{'mean TTFT':>11}{'answered':>10}")
    for replicas in (1, 8):
        rows: dict[str, list[list[float] | str]] = {name: [] for name in ways}
        for _ in range(3):
            for name, way in ways.items():
                rows[name].append(way(replicas))
        for name, found in rows.items():
            good = [one for one in found if not isinstance(one, str)]
            if not good:
                print(f"{name:<28}{replicas:>9}  {str(found[0])[:60]}")
                continue
            wall, ttft_s, answered = min(good)
            print(
                f"{name:<28}{replicas:>9}{wall:>9.3f}{COUNT / wall:>12,.0f}{ttft_s:>10.3f}s{answered:>10,}", flush=True
            )


if __name__ == "__main__":
    main()
