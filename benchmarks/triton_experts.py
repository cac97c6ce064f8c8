"""Refit Blackwell's experts under vLLM before 0.12, with errors left out.    python benchmarks/triton_experts.py FOLDER

FOLDER holds mlenergy_v3.csv, whose licence allows no shipping. Two factors of time over the tables, of bytes and of
arithmetic: Triton's kernels of that time were made for Hopper.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import numpy as np
from scipy.optimize import least_squares

from infrascale import predicting
from infrascale.calibration.residuals import excluded
from infrascale.errors import InfraScaleError
from infrascale.hardware import Efficiency
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.tables import read_rows

FORMATS = ("bf16", "fp8_block")
#: Held to the tables: a factor of 1 within a factor e, as one row.
SPREAD, SCALE = 1.0, 0.15


def main(folder: str) -> None:
    rows = list(_rows(read_rows(f"{folder}/mlenergy_v3.csv")[1]))
    found = fit(rows)
    for key, curve in curves(found).items():
        print(f'[curves."{key}"]\n' + "\n".join(f"{part} = {value:.3g}" for part, value in curve.items()) + "\n")
    models = np.array([question.deployment.model.id for question, _ in rows])
    left_out = np.zeros(len(rows))
    for name in set(models):
        others = [row for row, model in zip(rows, models, strict=True) if model != name]
        left_out[models == name] = errors(fit(others), [r for r, m in zip(rows, models, strict=True) if m == name])
    print(f"{len(rows)} rows; MAPE / median error of tokens per second, %")
    for title, logs in (("tables", errors((1.0, 1.0), rows)), ("in sample", errors(found, rows)),
                        ("one model left out", left_out)):  # fmt: skip
        off = 100 * abs(np.exp(logs) - 1)
        print(f"{title:<20}{off.mean():.1f} / {np.median(off):.1f}")


def _rows(measured: Sequence[dict[str, str]]):
    for row in measured:
        try:
            question = asked(row)
        except InfraScaleError:
            continue
        sparse = question.deployment.model.is_moe and question.deployment.gpu.architecture == "blackwell"
        if sparse and question.deployment.shard.dp == 1 and not excluded(row):
            yield question, float(row["output_tok_per_s_total"])


def curves(factors: Sequence[float]) -> dict[str, dict[str, float]]:
    """The tables' shares of bandwidth and of the dense rate, divided by the factors."""
    plain = bare()
    tables = {name: plain.curve("moe", name, gpu("b200")) for name in FORMATS}
    return {
        f"moe/{name}@blackwell:vllm<0.12": {
            "bytes_fraction": table.bytes_fraction / factors[0],
            "flop_fraction": table.flop_fraction / factors[1],
        }
        for name, table in tables.items()
    }


def bare() -> Efficiency:
    found = efficiency()
    return replace(found, curves={key: curve for key, curve in found.curves.items() if ":vllm<0.12" not in key})


def errors(factors: Sequence[float], rows: Sequence[tuple[Asked, float]]) -> np.ndarray:
    """Log of predicted over measured tokens per second."""
    plain = bare()
    changed = replace(plain, curves={**plain.curves, **curves(factors)})
    with patch.object(predicting, "efficiency", lambda: changed):
        found = [predicting.predict(question).measures["output_tok_per_s_total"] for question, _ in rows]
    return np.log(np.array(found) / np.array([measured for _, measured in rows]))


def fit(rows: Sequence[tuple[Asked, float]]) -> tuple[float, float]:
    def residuals(logs: np.ndarray) -> np.ndarray:
        off = errors(np.exp(logs), rows) / SCALE
        return np.concatenate([np.sign(off) * np.sqrt(2 * (np.sqrt(1 + off**2) - 1)), logs / SPREAD])

    return tuple(np.exp(least_squares(residuals, np.zeros(2), diff_step=1e-3, max_nfev=20).x))


if __name__ == "__main__":
    main(sys.argv[1])
