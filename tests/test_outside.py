"""The hold-out of benchmarks/outside: rows that can be read, each with its source, none among the shipped ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from infrascale.calibration.residuals import shipped_rows
from infrascale.parsing.tables import read_rows
from infrascale.predicting import MEASURES, predict_row

FOLDER = Path(__file__).parents[1] / "benchmarks" / "outside"
FILES = sorted(FOLDER.glob("*.csv"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_names_its_source_and_is_answered(path):
    rows = read_rows(str(path))[1]
    assert f"`{path.stem}` | {len(rows)} |" in (FOLDER / "README.md").read_text(encoding="utf-8")
    for row in rows:
        assert row["source"] and ((row["repo"] and row["commit"]) or row["path"].startswith("https://"))
        assert any(row[measure] for measure in MEASURES)
        assert predict_row(row)["status"] == "ok", row


def test_nothing_that_is_fitted_to_is_held_out():
    fitted = {(row["repo"], row["path"]) for rows in shipped_rows().values() for row in rows}
    held = {(row["repo"], row["path"]) for path in FILES for row in read_rows(str(path))[1]}
    assert not fitted & held
