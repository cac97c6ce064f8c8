"""The analytic queue beside the simulator on the same traffic.    python benchmarks/agreement.py   (about 20 seconds)

One replica of Llama-3.1-8B on an H100, 512 tokens in and 256 out, 15 minutes of arrivals, without the front end's time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from infrascale.deployment import PhysicsTimer
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import question, scenario
from infrascale.planning.planner import deployments
from infrascale.serving import limits_of
from infrascale.serving.queueing import FRONT_S, Replica
from infrascale.serving.routing import Arrivals
from infrascale.serving.simulation.deployed import settings_of, table_of
from infrascale.serving.simulation.fleet import Requests, simulate_fleet
from infrascale.workload import Workload
from infrascale.workload.arrivals import arrival_times
from infrascale.workload.lengths import Lengths

SHARES = (0.5, 0.9, 0.95, 0.99)
SEQS, SECONDS = 256, 900.0


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


def main() -> None:
    print("analytic over simulated − 1, %: mean, p50, p90, p95, p99\n")
    print(f"{'arrivals':<18}{'lengths':<14}{'load':>6}   {'TTFT':<32}TPOT")
    for arrival_cv, name in ((0.0, "even"), (1.0, "Poisson"), (2.0, "bursty, cv 2")):
        for length_cv in (0.0, 0.5):
            for load in (0.3, 0.6, 0.85):
                cells = compare(load, length_cv, arrival_cv)
                text = ["".join(f"{error * 100:>+6.0f}" for error in cells[key]) for key in ("TTFT", "TPOT")]
                print(f"{name:<18}{f'cv {length_cv}':<14}{load:>6.0%}{text[0]}  {text[1]}", flush=True)


if __name__ == "__main__":
    main()
