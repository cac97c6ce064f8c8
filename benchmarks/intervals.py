"""Write catalog/data/intervals.toml from the shipped measurements.    python benchmarks/intervals.py"""

from __future__ import annotations

from infrascale import catalog
from infrascale.calibration.conformal import spreads
from infrascale.calibration.residuals import residuals, shipped_rows

HEAD = """# 90 % intervals by regime, printed by benchmarks/intervals.py: log ratios of measured over predicted, from the shipped
# measurements, widened until models left out are covered (calibration/conformal.py).
origin = "{rows} comparisons of {sets} published sets"

"""


def main() -> None:
    sets = shipped_rows()
    compared = [residual for name, rows in sets.items() for residual in residuals(rows, name)]
    lines = [HEAD.format(rows=len(compared), sets=len(sets)) + "[spreads]"]
    for key, spread in spreads(compared).items():
        lines.append(f'"{key}" = {{ low = {spread.low:.4f}, high = {spread.high:.4f}, rows = {spread.rows} }}')
    (catalog.DATA / "intervals.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
