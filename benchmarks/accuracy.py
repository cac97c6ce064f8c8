"""How close predictions come to measurements: a table by file and by engine.

In: a folder of CSVs in the schema of `infrascale predict`.    Out: a table of 80 columns on the screen.

    python benchmarks/accuracy.py FOLDER [--by COLUMN]

MAPE/median are of |predicted − measured| / measured [%]; bias is the median of predicted / measured.
"""

from __future__ import annotations

import argparse
import csv
import math
import tempfile
from collections import defaultdict
from pathlib import Path
from statistics import mean, median

from infrascale.errors import FileError
from infrascale.predicting import predict_file

MEASURED = {
    "TPOT": ("pred_tpot_mean_s", ("tpot_mean_s", "itl_mean_s", "tpot_p50_s")),
    "TTFT": ("pred_ttft_mean_s", ("ttft_mean_s", "ttft_p50_s")),
    "E2E": ("pred_e2e_mean_s", ("e2e_mean_s",)),
    "tok/s": ("pred_output_tok_per_s_total", ("output_tok_per_s_total",)),
}


def _value(row: dict[str, str], names: tuple[str, ...]) -> float | None:
    for name in names:
        try:
            value = float(row.get(name) or "nan")
        except ValueError:
            continue
        if math.isfinite(value) and value > 0:
            return value
    return None


def ratios(rows: list[dict[str, str]], quantity: str) -> list[float]:
    """In: predicted rows.    Out: predicted / measured wherever both are there."""
    predicted, measured = MEASURED[quantity]
    pairs = ((_value(row, (predicted,)), _value(row, measured)) for row in rows)
    return [p / m for p, m in pairs if p is not None and m is not None]


def line(label: str, rows: list[dict[str, str]]) -> str:
    """One line: rows, coverage, then MAPE/median/bias of each quantity."""
    covered = 100 * sum(row["status"] == "ok" for row in rows) / len(rows)
    cells = []
    for quantity in MEASURED:
        found = ratios(rows, quantity)
        errors = [100 * abs(r - 1) for r in found]
        text = f"{min(mean(errors), 999):.0f}/{min(median(errors), 999):.0f}/{median(found):.2f}" if found else "-"
        cells.append(f"{text:>12}")
    return f"{label[:19]:19}{len(rows):5}{covered:4.0f}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--by", action="append", default=[], help="a further column to group by")
    options = parser.parse_args()
    groups: dict[str, dict[str, list[dict[str, str]]]] = defaultdict(lambda: defaultdict(list))
    reasons: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as scratch:
        for path in sorted(options.folder.glob("*.csv")):
            out = Path(scratch) / path.name
            try:
                predict_file(path, out)
            except FileError as error:
                print(error)
                continue
            with out.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    groups["file"][path.stem].append(row)
                    for column in ("engine", *options.by):
                        groups[column][row.get(column) or "(blank)"].append(row)
                    groups["total"]["all"].append(row)
                    if row["status"] != "ok":
                        reasons[f"{path.stem[:12]}: {row['status']}: {row['reason'][:48]}"] += 1
    header = "".join(f"{name:>12}" for name in MEASURED)
    for column, members in groups.items():
        print(f"\n{column:19}{'rows':>5}{'cov%':>4}{header}")
        for label, rows in sorted(members.items()):
            print(line(label, rows))
    print("\nEach cell: MAPE % / median % / median of predicted over measured.")
    for reason, number in sorted(reasons.items(), key=lambda pair: -pair[1])[:10]:
        print(f"{number:5} {reason[:74]}")


if __name__ == "__main__":
    main()
