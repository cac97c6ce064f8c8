"""Refit the laws of power in catalog/data/efficiency.toml, with errors left out.    python benchmarks/power.py FOLDER

FOLDER holds mlenergy_v3.csv, whose licence allows no shipping, and argonne_llm_inference_bench.csv.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.optimize import least_squares

from infrascale.calibration.residuals import excluded, impossible
from infrascale.deployment import PhysicsTimer
from infrascale.deployment.power import LIMIT_EXPONENT, activity, idle_share
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import asked
from infrascale.parsing.tables import read_rows
from infrascale.serving import limits_of, steps
from infrascale.serving.steady_state import decode_batch, prompts_fraction

SETS = ("mlenergy_v3", "argonne_llm_inference_bench")
NAMES = ("power_busy", "power_computing", "power_exponent")


def main(folder: str) -> None:
    found, names = [], []
    for row in (row for name in SETS for row in read_rows(f"{folder}/{name}.csv")[1] if row["power_w"]):
        try:
            question = asked(row)
        except InfraScaleError:
            continue
        if excluded(row) or impossible(row, question):
            continue
        gpu, limits = question.deployment.gpu, limits_of(question.deployment, question.workload)
        timer = PhysicsTimer(deployment=question.deployment, efficiency=efficiency())
        running = max(1.0, min(question.concurrency or 1.0, limits.running))
        share = float(row["power_w"]) / gpu.power_w / question.deployment.shard.gpus / question.replicas
        idle = idle_share(gpu, efficiency().laws["power_idle"])
        load = question.workload
        prompts = prompts_fraction(steps(timer, load, limits, running), load, running)
        found.append((share, idle, *activity(timer, decode_batch(running, load), prompts)))
        names.append((row["model"].split("/")[-1], gpu.id))
    rows = np.array(found)
    print("\n".join(f"{name} = {value:.3g}" for name, value in zip(NAMES, fit(rows), strict=True)))
    print(f"\n{len(rows)} rows; MAPE / median error, %")
    print(f"in sample            {_errors(predicted(fit(rows), rows), rows)}")
    gpus = np.array([gpu for _, gpu in names])
    for title, column in (("one GPU left out", 1), ("one model left out", 0)):
        of = np.array([name[column] for name in names])
        values = np.zeros(len(rows))
        for name in set(of):
            values[of == name] = predicted(fit(rows[of != name]), rows[of == name])
        print(f"{title:<21}{_errors(values, rows)}")
    for title, chosen in (("H100", gpus == "h100-sxm"), ("all", gpus != "")):
        low, high = np.quantile(values[chosen] / rows[chosen, 0], [0.05, 0.95])
        print(f"predicted / measured with one model left out, 5th and 95th percentile, {title}: {low:.2f}, {high:.2f}")


def predicted(laws: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Shares of the limit: `deployment.power.busy_power_w`."""
    share = rows[:, 1] + laws[0] * rows[:, 2] + laws[1] * rows[:, 3] ** laws[2]
    return share / (1 + share**LIMIT_EXPONENT) ** (1 / LIMIT_EXPONENT)


def fit(rows: np.ndarray) -> np.ndarray:
    def errors(laws: np.ndarray) -> np.ndarray:
        return predicted(laws, rows) / rows[:, 0] - 1

    return least_squares(errors, [0.4, 0.6, 0.4], loss="soft_l1", f_scale=0.1, bounds=([0, 0, 0.3], [1, 2, 1])).x


def _errors(values: np.ndarray, rows: np.ndarray) -> str:
    errors = 100 * abs(values / rows[:, 0] - 1)
    return f"{errors.mean():.1f} / {np.median(errors):.1f}"


if __name__ == "__main__":
    main(sys.argv[1])
