"""Refit the hosts and laws of catalog/data/efficiency.toml, with errors left out.    python benchmarks/fit.py [FOLDER]

FOLDER of measurement files instead of those shipped: aic_silicon.csv, argonne_llm_inference_bench.csv,
splitwise_perf_model.csv and trtllm_perf_overview.csv are used.
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np

from infrascale.calibration import batches, saturated
from infrascale.calibration.hosts import ENGINES, Rows, as_data, fit, left_out, rows_of, unscaled
from infrascale.calibration.residuals import shipped_rows
from infrascale.parsing.tables import read_rows


def main(folder: str | None) -> None:
    closed_loops(_measured(folder, "aic_silicon"))
    early = [*_measured(folder, "argonne_llm_inference_bench"), *_measured(folder, "splitwise_perf_model")]
    _static(batches, early, "e2e")
    _static(saturated, _measured(folder, "trtllm_perf_overview"), "rate")


def _measured(folder: str | None, name: str) -> list[dict[str, str]]:
    return read_rows(f"{folder}/{name}.csv")[1] if folder else shipped_rows()[name]


def closed_loops(measured: list[dict[str, str]]) -> None:
    rows = rows_of(measured, unscaled())
    found = fit(rows, np.ones(len(rows.engine), bool))
    for name, value in found.items():
        print(f"{name:<24}{value:.3g}")
    print("\n" + "\n".join(toml(as_data(found))))
    print(f"\n{len(rows.engine)} rows; MAPE / median error, %\n")
    heads = [f"{engine} {what}" for engine in (*ENGINES, "all") for what in ("TPOT", "TTFT")]
    print(f"{'':<24}" + "".join(f"{head:>14}" for head in heads))
    for title, predicted in (
        ("in sample", rows.predicted(found)),
        ("one model left out", left_out(rows, rows.model)),
        ("one GPU left out", left_out(rows, rows.gpu)),
    ):
        print(f"{title:<24}" + "".join(f"{cell:>14}" for cell in _errors(rows, predicted)))


def _static(room: ModuleType, measured: list[dict[str, str]], measure: str) -> None:
    """The constants of `batches` or `saturated` as they stand in the data file, and their errors."""
    rows = room.rows_of(measured)
    found = room.fit(rows, np.ones(len(rows.rows), bool))
    print("\n" + "\n".join(toml(room.as_data(found))))
    print(f"\n{len(rows.rows)} rows; MAPE / median error, %\n")
    engines = [f"{row['engine'].split()[0]} {gpu}" for row, gpu in zip(rows.rows, rows.gpu, strict=True)]
    groups = ["all", *sorted(set(engines))]
    print(f"{'':<24}" + "".join(f"{group:>24}" for group in groups))
    for title, predicted in (
        ("in sample", rows.predicted(found)),
        ("one model left out", room.left_out(rows, rows.model)),
        ("one GPU left out", room.left_out(rows, rows.gpu)),
    ):
        errors = 100 * abs(predicted / rows.numbers[measure] - 1)
        picked = [errors[[group in ("all", engine) for engine in engines]] for group in groups]
        print(f"{title:<24}" + "".join(f"{f'{e.mean():.1f} / {np.median(e):.1f}':>24}" for e in picked))


def toml(data: dict[str, dict]) -> list[str]:
    """Tables of tables of numbers, and tables of numbers."""
    lines = []
    for section, table in data.items():
        plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
        if plain:
            lines += [f"[{section}]", *(f'"{key}" = {_value(value)}' for key, value in plain.items()), ""]
        for key, parts in table.items():
            if isinstance(parts, dict):
                lines += [f'[{section}."{key}"]', *(f"{part} = {_value(value)}" for part, value in parts.items()), ""]
    return lines


def _value(value: float | dict[int, float]) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(part)}" for key, part in value.items()) + " }"
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
