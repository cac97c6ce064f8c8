"""How many requests the simulator serves per second, and what a working day takes.

    python benchmarks/simulator_speed.py            one replica, Llama-3.1-8B on an H100, ISL 512, OSL 256
    python benchmarks/simulator_speed.py --day      25 million requests over eight hours on 300 replicas

The first call on a machine compiles (some 40 s, not counted, kept for later). Peak memory is the whole process's.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np

from infrascale import api
from infrascale.parsing.efficiencies import efficiency
from infrascale.planning.evaluate import Judge
from infrascale.serving.simulation.deployed import settings_of, table_of
from infrascale.serving.simulation.fleet import Fleet, Requests, requests_in_plain, simulate_fleet
from infrascale.serving.simulation.outcome import outcome
from infrascale.serving.simulation.replica import simulate
from infrascale.serving.simulation.request import Settings
from infrascale.serving.simulation.steptable import StepTable

ISL, OSL = 512, 256


def traffic(count: int, request_per_s: float) -> Requests:
    rng = np.random.default_rng(1)
    arrival_s = np.cumsum(rng.exponential(1 / request_per_s, count))
    return Requests(
        arrival_s=arrival_s,
        isl_tokens=np.full(count, ISL, dtype=np.int32),
        osl_tokens=np.full(count, OSL, dtype=np.int32),
    )


def replica_of() -> tuple[StepTable, Settings]:
    """Step times and knobs of Llama-3.1-8B on an H100."""
    scenario = api.ask(model="llama-3.1-8b", gpu="h100-sxm", request_per_s=20, isl=ISL, osl=OSL)
    best = api.plan(scenario).best
    timer = Judge(scenario=scenario, deployment=best.deployment, efficiency=efficiency()).timer
    settings = settings_of(best.deployment, best.deployment.engine.max_num_seqs, ISL + OSL)
    started = time.perf_counter()
    table = table_of(best.deployment, timer, settings, ISL + OSL)
    print(f"table of step times: {time.perf_counter() - started:.1f} s")
    return table, settings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--day", action="store_true")
    day = parser.parse_args().day
    table, settings = replica_of()
    simulate_fleet(traffic(500, 10), table, settings)
    if day:
        replicas, count, seconds = 300, 25_000_000, 8 * 3600
        requests = traffic(count, count / seconds)
        started = time.perf_counter()
        records = simulate_fleet(requests, table, settings, Fleet(replicas=replicas))
        found = outcome(records, replicas, 60, seconds - 60, ttft_s=1, token_per_s=20)
        print(f"{count:,} requests on {replicas} replicas, percentiles included: {time.perf_counter() - started:.0f} s")
        print({q: round(s, 4) for q, s in found.performance.ttft_s.quantiles_s.items()}, "TTFT s")
    else:
        for rate in (5, 10, 20, 30):
            requests = traffic(500_000, rate)
            wall, cpu = time.perf_counter(), time.process_time()
            simulate_fleet(requests, table, settings)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(f"{rate:>3} requests/s: {500_000 / wall:>9,.0f} requests simulated a second ({cpu:.2f} s of CPU)")
        requests = requests_in_plain(traffic(1000, 10), settings)
        wall = time.perf_counter()
        simulate(requests, table, settings)
        print(f"plain mode, 10 requests/s: {1000 / (time.perf_counter() - wall):,.0f} requests simulated a second")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
