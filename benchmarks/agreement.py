"""Where the engines stand: against theory, each other, published open loops, and a real vLLM, in one command.

    python benchmarks/agreement.py [--measurements FOLDER] [--real rows.json]      (about a minute without the two)

Theory: M/M/1, M/D/1, M/M/c and processor sharing, where replicas degenerate to them, and Little's law. Each other: one
replica of Llama-3.1-8B on an H100, 512 tokens in and 256 out, 2.5 hours of arrivals, without the front end's time.
Published: rows of the common schema that state a rate, by `benchmarks/queueing.py`. Real: what `real_vllm.py` wrote.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from math import factorial
from pathlib import Path

import numpy as np

from infrascale.deployment import PhysicsTimer
from infrascale.hardware import Host
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import question, scenario
from infrascale.planning.planner import deployments
from infrascale.serving import Limits, limits_of
from infrascale.serving.queueing import FRONT_S, Replica
from infrascale.serving.routing import Arrivals
from infrascale.serving.simulation.deployed import settings_of, table_of
from infrascale.serving.simulation.fleet import Requests, simulate_fleet
from infrascale.serving.simulation.request import PS_PER_S, Settings
from infrascale.serving.simulation.steptable import tabulate
from infrascale.work import Batch
from infrascale.workload import Workload
from infrascale.workload.arrivals import arrival_times
from infrascale.workload.lengths import Lengths

SHARES = (0.5, 0.9, 0.95, 0.99)
SEQS, SECONDS = 256, 9000.0


def compare(load: float, length_cv: float, arrival_cv: float, seed: int = 1) -> dict[str, list[float]]:
    """Analytic over simulated − 1, for the mean and each share, of TTFT and TPOT."""
    asked = scenario(question({"model": "llama-3.1-8b", "gpu": ["h100-sxm"], "users": 1}))
    deployment = next(iter(deployments(asked, asked.gpus[0])))
    timer = PhysicsTimer(deployment=deployment, efficiency=efficiency())
    workload = Workload(isl_tokens=512, osl_tokens=256, isl_cv=length_cv, osl_cv=length_cv)
    limits = replace(limits_of(deployment, workload), max_num_seqs=SEQS)
    host = replace(timer.host, prompt_token_s=0)
    replica = Replica(timer=timer, workload=workload, limits=limits, host=host)
    rate = load * replica.most_request_per_s
    found = replica.under(Arrivals(request_per_s=rate, scv=arrival_cv**2))
    rng = np.random.default_rng(seed)
    arrival_s = arrival_times(rate, SECONDS, rng, cv=arrival_cv)
    isl, osl = (Lengths(mean_tokens=mean, cv=length_cv).draw(len(arrival_s), rng) for mean in (512, 256))
    longest = int((isl + osl).max())
    settings = replace(settings_of(deployment, SEQS, longest), prefix_caching=False)
    table = table_of(deployment, timer, settings, longest)
    records = simulate_fleet(Requests(arrival_s=arrival_s, isl_tokens=isl, osl_tokens=osl), table, settings)
    settled = (arrival_s > SECONDS / 9) & (arrival_s < SECONDS * 0.95) & (osl > 1)
    ttft = (records.first_ps - records.arrival_ps)[settled] / 1e12
    tpot = (records.last_ps - records.first_ps)[settled] / 1e12 / (osl[settled] - 1)
    errors = {}
    for name, spread, front_s, seen in (("TTFT", found.spread(0), FRONT_S, ttft), ("TPOT", found.spread(1), 0.0, tpot)):
        told = [spread.mean_s, *(spread.quantiles_s[share] for share in SHARES)]
        errors[name] = list((np.array(told) - front_s) / [seen.mean(), *np.quantile(seen, SHARES)] - 1)
    return errors


# --- theory ---------------------------------------------------------------------------------------------------------

ANSWER, STEP_S = 200, 0.005  # a place is held for a second on average
SERVED = 200_000


def constant(batch: Batch) -> float:
    return STEP_S


def shared(batch: Batch) -> float:
    """One processor that all share: n together take n times as long."""
    return STEP_S * max(1.0, batch.decode_seqs + batch.prefill_seqs)


def times(timer: Callable[[Batch], float], places: int, request_per_s: float, length_cv: float) -> tuple[float, ...]:
    """Mean time in system of the analytic queue and of the simulator, and how far the latter is from Little's law."""
    replica = Replica(
        timer=timer,
        workload=Workload(isl_tokens=1, osl_tokens=ANSWER, osl_cv=length_cv),
        limits=Limits(max_num_seqs=places, cached_seqs=1e9, step_tokens=1e9),
        host=Host(step_s=0, seq_s=0, request_s=0, prompt_token_s=0),
    )
    told = replica.under(Arrivals(request_per_s=request_per_s))
    whole_s = told.wait_s + told.running_seqs / request_per_s
    rng = np.random.default_rng(1)
    osl = rng.geometric(1 / ANSWER, SERVED) if length_cv else np.full(SERVED, ANSWER)
    arrival_s = np.cumsum(rng.exponential(1 / request_per_s, SERVED))
    settings = Settings(kv_blocks=200_000, max_num_seqs=places, max_num_batched_tokens=8192, prefix_caching=False)
    longest = int(osl.max()) + 1
    table = tabulate(
        timer, max_num_seqs=places, max_num_batched_tokens=8192, context_tokens=longest, cached_tokens=longest * places
    )
    moments = np.linspace(arrival_s[SERVED // 10], arrival_s[-SERVED // 10], 20_000)
    asked = Requests(arrival_s=arrival_s, isl_tokens=np.ones(SERVED, np.int64), osl_tokens=osl)
    records = simulate_fleet(asked, table, settings, moments_s=moments)
    inside = records.series[:, :, :2].sum(axis=(1, 2)).mean()
    there = (arrival_s >= moments[0]) & (arrival_s < moments[-1])
    stay_s = ((records.last_ps - records.arrival_ps)[there] / PS_PER_S).mean()
    rate = there.sum() / (moments[-1] - moments[0])
    return whole_s, float(stay_s), float(inside / (rate * stay_s) - 1)


def erlang_c(servers: int, load: float) -> float:
    busy = load**servers / factorial(servers) * servers / (servers - load)
    return busy / (sum(load**k / factorial(k) for k in range(servers)) + busy)


def theory() -> None:
    print("against theory: mean seconds in the system\n")
    print(f"{'queue':<34}{'theory':>9}{'analytic':>10}{'simulated':>11}{'Little, %':>11}")
    rows: list[tuple[str, float, Callable[[Batch], float], int, float, float]] = []
    for load in (0.5, 0.8):
        rows.append((f"M/M/1 at {load:.0%}", 1 / (1 - load), constant, 1, load, 1.0))
        rows.append((f"M/D/1 at {load:.0%}", 1 + load / 2 / (1 - load), constant, 1, load, 0.0))
        rows.append((f"M/M/8 at {load:.0%}", 1 + erlang_c(8, 8 * load) / (8 - 8 * load), constant, 8, 8 * load, 1.0))
        rows.append((f"processor sharing, fixed, {load:.0%}", 1 / (1 - load), shared, 256, load, 0.0))
        rows.append((f"processor sharing, M/M, {load:.0%}", 1 / (1 - load), shared, 256, load, 1.0))
    for name, exact, timer, places, rate, length_cv in rows:
        told, seen, little = times(timer, places, rate, length_cv)
        print(f"{name:<34}{exact:>9.3f}{told:>10.3f}{seen:>11.3f}{100 * little:>+11.2f}", flush=True)


# --- all ------------------------------------------------------------------------------------------------------------


def engines() -> None:
    print("\nanalytic over simulated − 1, %: mean, p50, p90, p95, p99\n")
    print(f"{'arrivals':<18}{'lengths':<14}{'load':>6}   {'TTFT':<32}TPOT")
    for arrival_cv, name in ((0.0, "even"), (1.0, "Poisson"), (2.0, "bursty, cv 2")):
        for length_cv in (0.0, 0.5):
            for load in (0.3, 0.6, 0.85):
                cells = compare(load, length_cv, arrival_cv)
                text = ["".join(f"{error * 100:>+6.0f}" for error in cells[key]) for key in ("TTFT", "TPOT")]
                print(f"{name:<18}{f'cv {length_cv}':<14}{load:>6.0%}{text[0]}  {text[1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measurements", type=Path)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    theory()
    engines()
    if options.measurements:
        import queueing

        print("\nagainst published open loops\n")
        queueing.main(str(options.measurements))
    if options.real:
        import real_vllm

        print("\nagainst a real vLLM\n")
        real_vllm.printed(json.loads(options.real.read_text()))


if __name__ == "__main__":
    main()
