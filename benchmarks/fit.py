"""Refit the hosts and laws of catalog/data/efficiency.toml, with errors left out.    python benchmarks/fit.py [FOLDER]

FOLDER of measurement files instead of those shipped: aic_silicon.csv and argonne_llm_inference_bench.csv are used.
"""

from __future__ import annotations

import sys

import numpy as np

from infrascale.calibration import batches
from infrascale.calibration.hosts import ENGINES, Rows, fit, left_out, rows_of, unscaled
from infrascale.calibration.residuals import shipped_rows
from infrascale.parsing.measurements import read_rows


def main(folder: str | None) -> None:
    closed_loops(_measured(folder, "aic_silicon"))
    early_releases(_measured(folder, "argonne_llm_inference_bench"))


def _measured(folder: str | None, name: str) -> list[dict[str, str]]:
    return read_rows(f"{folder}/{name}.csv")[1] if folder else shipped_rows()[name]


def closed_loops(measured: list[dict[str, str]]) -> None:
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


def early_releases(measured: list[dict[str, str]]) -> None:
    """Hosts, kernels and links of early releases, as they stand in the data file, and their errors."""
    rows = batches.rows_of(measured)
    found = batches.fit(rows, np.ones(len(rows.engine), bool))
    for section, table in batches.as_data(found).items():
        for key, parts in table.items():
            print(f'\n[{section}."{key}"]')
            print("\n".join(f"{part} = {_toml(value)}" for part, value in parts.items()))
    print(f"\n{len(rows.engine)} static batches; MAPE / median error of the end, %\n")
    groups = sorted(set(zip(rows.engine, rows.gpu, strict=True)))
    print(f"{'':<24}" + "".join(f"{f'{engine} {gpu}':>28}" for engine, gpu in groups))
    for title, predicted in (
        ("in sample", rows.predicted(found)),
        ("one model left out", batches.left_out(rows, rows.model)),
        ("one GPU left out", batches.left_out(rows, rows.gpu)),
    ):
        errors = 100 * abs(predicted / rows.numbers["e2e"] - 1)
        picked = [errors[(np.array(rows.engine) == engine) & (rows.gpu == gpu)] for engine, gpu in groups]
        print(f"{title:<24}" + "".join(f"{f'{e.mean():.1f} / {np.median(e):.1f}':>28}" for e in picked))


def _toml(value: float | dict[int, float]) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(part)}" for key, part in value.items()) + " }"
    return f"{value:.3g}"


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
