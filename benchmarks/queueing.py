"""Open-loop measurements against the analytic queue and the simulator.    python benchmarks/queueing.py FOLDER

Rows of the common schema that state an arrival rate; the traffic is posed as their sources describe it:
BLIS (vLLM 0.15.1) sends evenly and cycles through a fixed list of prompts with prefix caching on, so all of a prompt
but its last block is cached (inference-perf, SharedPrefixDataGenerator.get_data); its first stage reads them cold,
which shows in p99 alone. MLPerf is Poisson. Of llm-d only sharegpt has prompts that do not all repeat.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from infrascale.deployment import PhysicsTimer
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.tables import Row, read_rows
from infrascale.serving import Performance, limits_of, steps_until_seen
from infrascale.serving.queueing import FRONT_S, Loaded, Replica
from infrascale.serving.routing import Arrivals, least_loaded
from infrascale.serving.simulation.deployed import settings_of, table_of
from infrascale.serving.simulation.fleet import Fleet, Requests, simulate_fleet
from infrascale.serving.simulation.outcome import outcome
from infrascale.workload.arrivals import arrival_times
from infrascale.workload.lengths import Lengths

FILES = ("blis_sim2real_vllm015", "llmd_benchmark_history", "mlperf_v4_1")
SECONDS = 300.0
MEASURES = ("ttft_mean_s", "ttft_p90_s", "ttft_p99_s", "tpot_mean_s", "tpot_p99_s", "e2e_mean_s", "e2e_p99_s")


def posed(row: Row) -> tuple[Asked, Arrivals] | None:
    """The row's deployment and traffic as its source describes them; None where it is not open loop."""
    if not row["request_rate"] or row["load_kind"] != "open":
        return None
    question = asked(row)
    scv, name = 1.0, Path(row["path"]).name
    if "constant (not Poisson)" in row["notes"]:
        scv, kept = 0.0, question.deployment.engine.block_size / question.workload.isl_tokens
        question = replace(question, workload=replace(question.workload, prefix_hit_fraction=1 - kept))
    elif "llm-d" in row["source"] and "sharegpt" not in name:
        return None
    knobs = {k: int(v) for k, v in re.findall(r"(max_num_seqs|max_num_batched_tokens)=(\d+)", row["notes"])}
    deployment = question.deployment
    deployment = replace(deployment, engine=replace(deployment.engine, **knobs))
    all_of = Arrivals(request_per_s=question.request_per_s or 0.0, scv=scv)
    return replace(question, deployment=deployment), least_loaded(all_of, question.replicas)


def predicted(question: Asked, arrivals: Arrivals) -> dict[str, float] | None:
    """The measures by name, or None where more arrives than is served."""
    timer = PhysicsTimer(deployment=question.deployment, efficiency=efficiency())
    replica = Replica(
        timer=timer,
        workload=question.workload,
        limits=limits_of(question.deployment, question.workload),
        host=timer.host,
        unseen_steps=steps_until_seen(question.deployment),
    )
    found = replica.under(arrivals) if replica.limits.running >= 1 else None
    if not isinstance(found, Loaded):
        return None
    return cells_of(found.performance)


def cells_of(felt: Performance) -> dict[str, float]:
    cells = {}
    for name in ("ttft", "tpot", "e2e"):
        spread = getattr(felt, f"{name}_s")
        cells[f"{name}_mean_s"] = spread.mean_s
        cells |= {f"{name}_p{share * 100:.0f}_s": value for share, value in spread.quantiles_s.items()}
    return cells


def simulated(question: Asked, arrivals: Arrivals) -> dict[str, float] | None:
    """The same by the simulator, over five minutes of the traffic; None where its queue grows without end."""
    deployment, load = question.deployment, question.workload
    host = PhysicsTimer(deployment=deployment, efficiency=efficiency()).host
    rate, rng = arrivals.request_per_s * question.replicas, np.random.default_rng(1)
    arrival_s = arrival_times(rate, SECONDS, rng, cv=arrivals.scv**0.5)
    isl, osl = (
        Lengths(mean_tokens=mean, cv=cv, most_tokens=deployment.model.max_model_len // 2).draw(len(arrival_s), rng)
        for mean, cv in ((load.isl_tokens, load.isl_cv), (load.osl_tokens, load.osl_cv))
    )
    heads = (isl * load.prefix_hit_fraction).astype(np.int64)
    asked = Requests(
        arrival_s=arrival_s, isl_tokens=isl, osl_tokens=osl, prefix=np.zeros(len(isl), np.int64), prefix_tokens=heads,
        delay_s=FRONT_S + host.prompt_token_s * isl,
    )  # fmt: skip
    longest = int((isl + osl).max())
    seqs = deployment.engine.max_num_seqs * deployment.shard.dp
    ahead = steps_until_seen(deployment) > 0
    settings = settings_of(deployment, seqs, longest, async_scheduling=ahead)
    timer = PhysicsTimer(deployment=deployment, efficiency=efficiency())
    fleet = Fleet(replicas=round(question.replicas), policy="least-loaded")
    records = simulate_fleet(asked, table_of(deployment, timer, settings, longest), settings, fleet)
    found = outcome(records, fleet.replicas, SECONDS / 5, SECONDS, ttft_s=1e9, token_per_s=1e-9)
    if found.queue_grows or not found.judged_requests:
        return None
    return cells_of(found.performance)


def measured(row: Row, measure: str) -> float | None:
    stated = row.get(measure) or next(iter(re.findall(rf"{measure}=([\d.]+)", row["notes"])), "")
    return float(stated) if stated else None


ENGINES = (("analytic", predicted), ("simulated", simulated))


def main(folder: str) -> None:
    errors: dict[tuple[str, str], list[float]] = defaultdict(list)
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for path in (Path(folder) / f"{name}.csv" for name in FILES):
        for row in read_rows(str(path))[1]:
            try:
                question = posed(row)
            except InfraScaleError:
                continue
            if question is None:
                continue
            group = path.stem.split("_")[0] + (" warm" if "stage=1" in row["notes"] else "") + " " + row["engine"][:6]
            overloaded = (measured(row, "ttft_mean_s") or 0.0) > 5 * (measured(row, "ttft_p50_s") or 1.0)
            for who, engine in ENGINES:
                found = engine(*question)
                counts[f"{group} {who}"][0] += 1
                counts[f"{group} {who}"][1] += found is None
                counts[f"{group} {who}"][2] += overloaded
                for measure in MEASURES if found and not overloaded else ():
                    if truth := measured(row, measure):
                        errors[f"{group} {who}", measure].append(found[measure] / truth - 1)
    print("median |error| and median error, %; `full`: predicted saturated; `late`: measured a growing queue\n")
    heads = "".join(f"{measure[:-2].replace('_', ' '):>11}" for measure in MEASURES)
    print(f"{'file':<26}{'rows':>5}{'full':>5}{'late':>5}{heads}")
    for group, (rows, full, late) in counts.items():
        cells = (errors[group, measure] for measure in MEASURES)
        text = (f"{median(map(abs, e)) * 100:.0f} {median(e) * 100:+.0f}" if e else "–" for e in cells)
        print(f"{group:<26}{rows:>5}{full:>5}{late:>5}" + "".join(f"{cell:>11}" for cell in text))


if __name__ == "__main__":
    main(sys.argv[1])
