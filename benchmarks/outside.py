"""Predict the hold-out of benchmarks/outside, which nothing is fitted to, and print errors and coverage.

python benchmarks/outside.py [--by set|engine|gpu|model] [--worst 10] [--write]

`--write` puts the tables into docs/method.md. Rows that physics or a written rule leaves out are counted, not compared.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from infrascale.calibration.table import SHORT
from infrascale.calibration.validation import GROUPINGS, Score, Validation, validation
from infrascale.parsing.tables import read_rows
from infrascale.predicting import MEASURES, predict_row

FOLDER = Path(__file__).parent / "outside"
PAGE = Path(__file__).parents[1] / "docs" / "method.md"


def sets() -> dict[str, list[dict[str, str]]]:
    """Rows by the source that a row names."""
    found: dict[str, list[dict[str, str]]] = {}
    for path in sorted(FOLDER.glob("*.csv")):
        for row in read_rows(str(path))[1]:
            found.setdefault(row["source"].replace("_", " "), []).append(row)
    return found


def lines(found: Validation, by: str) -> Iterator[str]:
    """A table: median error in % with its sign, share inside the 90 % interval, rows."""
    yield f"| {by} | " + " | ".join(SHORT[measure] for measure in MEASURES) + " |"
    yield "|---" * (len(MEASURES) + 1) + "|"
    for name, row in found.scores(by).items():
        yield f"| {name} | " + " | ".join(_cell(row.get(measure)) for measure in MEASURES) + " |"


def _cell(score: Score | None) -> str:
    return "–" if score is None else f"{100 * score.bias:+.0f} %, {100 * score.covered:.0f} % ({score.rows})"


def summary(found: Validation, rows: dict[str, list[dict[str, str]]]) -> Iterator[str]:
    every = [row for group in rows.values() for row in group]
    answered = sum(predict_row(row)["status"] == "ok" for row in every)
    yield f"{len(every)} rows of {len(rows)} sources, {answered} answered; left out by rule: {found.left_out}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--by", choices=GROUPINGS, default="set")
    parser.add_argument("--worst", type=int, default=0)
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    rows = sets()
    found = validation(rows)
    print("\n".join([*summary(found, rows), "", *lines(found, chosen.by)]))
    for measure in MEASURES if chosen.worst else ():
        print(f"\n{measure}: predicted, measured")
        for r in found.worst(measure, chosen.worst):
            print(f"  {r.predicted:10.3g} {r.measured:10.3g}  {r.source}, {r.gpu}, {r.model}, {r.regime.kind}")
    if chosen.write:
        table = "\n".join([*lines(found, "set"), "", *lines(found, "engine")])
        marks = r"(<!-- outside -->\n).*?(<!-- /outside -->)"
        text = PAGE.read_text(encoding="utf-8")
        text = re.sub(marks, lambda m: f"{m[1]}\n{table}\n\n{m[2]}", text, flags=re.DOTALL)
        PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
