"""Write intervals.toml and evidence.csv of catalog/data, and print the coverage table of docs/method.md.

python benchmarks/intervals.py
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import exp
from statistics import median

from infrascale import catalog
from infrascale.calibration.conformal import alike, coverage_left_out, model_of, spreads, widening
from infrascale.calibration.hosts import left_out, rows_of, unscaled
from infrascale.calibration.residuals import Residual, of_its_size, residuals, shipped_rows
from infrascale.calibration.withheld import CELLS, NeverMeasured
from infrascale.parsing.gpus import gpu
from infrascale.parsing.models import model
from infrascale.parsing.tables import Row
from infrascale.uncertainty import MAKERS

HEAD = """# 90 % intervals by regime, from benchmarks/intervals.py: log ratios of measured over predicted, from the
# shipped measurements, widened until models left out are covered (calibration/conformal.py).
origin = "{rows} comparisons of {sets} published sets"

"""


def main() -> None:
    sets = shipped_rows()
    compared = [as_told(residual) for name, rows in sets.items() for residual in residuals(rows, name)]
    sized = [found for name, rows in sets.items() for found in residuals(rows, name, seen_as=of_its_size)]
    less_told = list(withheld(sets))
    lines = [HEAD.format(rows=len(compared), sets=len(sets)) + "[spreads]"]
    for key, spread in sorted((spreads([*compared, *less_told]) | spreads(sized)).items()):
        lines.append(f'"{key}" = {{ low = {spread.low:.4f}, high = {spread.high:.4f}, rows = {spread.rows} }}')
    (catalog.DATA / "intervals.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    evidence(sets["aic_silicon"])
    print("\n".join([*coverage([*compared, *less_told]), "", *cost_of_not_knowing(compared, sized)]))


def as_told(residual: Residual) -> Residual:
    """A published row that leaves out its format is evidence of the native one, which it is taken for."""
    return replace(residual, regime=replace(residual.regime, untold=""))


def withheld(sets: Mapping[str, list[dict[str, str]]]) -> Iterator[Residual]:
    """The same rows as if nobody had measured a chip of their kind, and with a cell of theirs left blank."""
    for name, rows in sets.items():
        for residual in residuals(rows, name, own=NeverMeasured()):
            kin = gpu(residual.gpu).vendor in MAKERS
            yield replace(residual, regime=replace(residual.regime, known=False, seen=False, kin=kin, untold=""))
        for untold, cells in CELLS.items():
            blank = (r for r in residuals(rows, name, blank=cells) if r.regime.untold == untold)
            yield from (replace(residual, regime=replace(residual.regime, known=True, seen=True)) for residual in blank)


#: Regimes of fewer rows are in the file, not in the table.
LEAST_SHOWN = 50


def coverage(compared: list[Residual]) -> Iterator[str]:
    """The most particular regimes: the interval, and the share of rows covered when their model or GPU took no part.

    Of chips as if never measured, whole architectures take no part.
    """
    groups: dict[str, list[Residual]] = defaultdict(list)
    for residual in compared:
        groups[residual.regime.keys(residual.measure)[0]].append(residual)
    found = spreads(compared)
    yield "| regime | rows | measured / predicted | as is, model left out | by | model left out | GPU left out |"
    yield "|---|---|---|---|---|---|---|"
    for key, group in sorted(groups.items()):
        if key not in found or len(group) < LEAST_SHOWN:
            continue
        taken = widening(group, alike(key))
        plain, models = (coverage_left_out(group, model_of, factor) for factor in (1.0, taken))
        cards = coverage_left_out(group, alike(key)[1] if "/unseen" in key else lambda r: r.gpu, taken)
        ends = f"{exp(found[key].low):.2f}–{exp(found[key].high):.2f}"
        shares = f"{plain:.0%} | {taken:.2f} | {models:.0%} | {cards:.0%}"
        yield f"| {key} | {len(group)} | {ends} | {shares} |"


def cost_of_not_knowing(compared: list[Residual], sized: list[Residual]) -> Iterator[str]:
    """Errors where the architecture is known, and where only the size is."""
    yield "| measure, load | rows | known: mean / median % | size only: mean / median % | interval, size only |"
    yield "|---|---|---|---|---|"
    found = spreads(sized)
    for key in sorted({r.regime.assumed_keys(r.measure)[0] for r in sized} & set(found)):
        measure, kind, _ = key.split("/")
        errors = [
            [abs(r.predicted / r.measured - 1) for r in group if (r.measure, r.regime.kind) == (measure, kind)]
            for group in (compared, sized)
        ]
        shares = " | ".join(f"{100 * sum(e) / len(e):.0f} / {100 * median(e):.0f}" for e in errors)
        ends = f"{exp(found[key].low):.2f}–{exp(found[key].high):.2f}"
        yield f"| {measure}, {kind} | {len(errors[1])} | {shares} | {ends} |"


def evidence(measured: list[Row]) -> None:
    """Closed-loop TPOT by model, GPU and engine: runs measured, and their median error with the model left out."""
    rows = rows_of(measured, unscaled())
    errors = abs(left_out(rows, rows.model)[0] / rows.numbers["tpot"] - 1)
    groups: dict[tuple[str, ...], list[tuple[float, str]]] = defaultdict(list)
    for row, error in zip(rows.rows, errors, strict=True):
        card, found = gpu(row["gpu"]), model(row["model"])
        key = (found.id.split("/")[-1], str(found.params), card.id, card.architecture, row["engine"])
        groups[key].append((error, row["engine_version"]))
    with (catalog.DATA / "evidence.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "params", "gpu", "architecture", "engine", "measurements", "tpot_error", "versions"))
        for key, group in sorted(groups.items()):
            versions = sorted({version for _, version in group if version[:1].isdigit()})
            middle = median(error for error, _ in group)
            writer.writerow((*key, len(group), f"{middle:.4f}", " ".join(versions)))


if __name__ == "__main__":
    main()
