"""Errors of `infrascale predict` on folders of measurement files.    python benchmarks/accuracy.py FOLDER"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

from infrascale.predicting import predict_file

MEASURES = ("tpot_mean_s", "ttft_mean_s", "e2e_mean_s", "output_tok_per_s_total", "power_w")


def main(folder: str) -> None:
    print("MAPE / median error, %, by file and engine\n")
    print(f"{'file, engine':<31}{'rows':>5}{'cover':>6}" + "".join(f"{m.split('_')[0]:>9}" for m in MEASURES))
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(Path(folder).glob("*.csv")):
            out = Path(scratch) / path.name
            predict_file(str(path), str(out))
            groups: dict[str, list[dict[str, str]]] = defaultdict(list)
            for row in csv.DictReader(out.open(encoding="utf-8")):
                kind = " disagg" if "DISAGG" in row["notes"] else ""
                groups[row["engine"][:6] + kind].append(row)
            for engine, rows in groups.items():
                answered = sum(row["status"] == "ok" for row in rows)
                cells = "".join(f"{_error(rows, measure):>9}" for measure in MEASURES)
                print(f"{path.stem[:17] + ' ' + engine:<31}{len(rows):>5}{answered / len(rows):>6.0%}{cells}")


def _error(rows: list[dict[str, str]], measure: str) -> str:
    errors = [
        abs(float(row[f"pred_{measure}"]) / float(row[measure]) - 1) * 100
        for row in rows
        if row[measure] and row.get(f"pred_{measure}") and float(row[measure]) > 0
    ]
    return f"{mean(errors):.0f}/{median(errors):.0f}" if errors else "–"


if __name__ == "__main__":
    main(sys.argv[1])
