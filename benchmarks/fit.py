"""Refit the hosts and laws of catalog/data/efficiency.toml, with errors left out.    python benchmarks/fit.py [FOLDER]

FOLDER of measurement files instead of those shipped: only aic_silicon.csv in it is used.
"""

from __future__ import annotations

import sys

import numpy as np

from infrascale.calibration.hosts import ENGINES, Rows, fit, left_out, rows_of, unscaled
from infrascale.calibration.residuals import shipped_rows
from infrascale.parsing.measurements import read_rows


def main(folder: str | None) -> None:
    measured = read_rows(f"{folder}/aic_silicon.csv")[1] if folder else shipped_rows()["aic_silicon"]
    rows = rows_of(measured, unscaled())
    found = fit(rows, np.ones(len(rows.engine), bool))
    for name, value in found.items():
        print(f"{name:<24}{value:.3g}")
    print(f"\n{len(rows.engine)} rows; MAPE / median error, %\n")
    heads = [f"{engine} {what}" for engine in (*ENGINES, "all") for what in ("TPOT", "TTFT")]
    print(f"{'':<24}" + "".join(f"{head:>14}" for head in heads))
    for title, predicted in (
        ("in sample", rows.predicted(found)),
        ("one model left out", left_out(rows, rows.model)),
        ("one GPU left out", left_out(rows, rows.gpu)),
    ):
        print(f"{title:<24}" + "".join(f"{cell:>14}" for cell in _errors(rows, predicted)))


def _errors(rows: Rows, predicted: tuple[np.ndarray, np.ndarray]) -> list[str]:
    cells = []
    for engine in (*range(len(ENGINES)), None):
        kept = np.ones(len(rows.engine), bool) if engine is None else rows.engine == engine
        for values, name in zip(predicted, ("tpot", "ttft"), strict=True):
            errors = 100 * abs(values / rows.numbers[name] - 1)[kept]
            cells.append(f"{errors.mean():.1f} / {np.median(errors):.1f}")
    return cells


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
