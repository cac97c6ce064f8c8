"""Write intervals.toml and evidence.csv of catalog/data, and print the coverage table of docs/method.md.

python benchmarks/intervals.py
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from math import exp
from statistics import median

from infrascale import catalog
from infrascale.calibration.conformal import coverage_left_out, spreads, widening
from infrascale.calibration.residuals import Residual, of_its_size, residuals, shipped_rows
from infrascale.parsing.gpus import gpu
from infrascale.parsing.models import model

HEAD = """# 90 % intervals by regime, from benchmarks/intervals.py: log ratios of measured over predicted, from the
# shipped measurements, widened until models left out are covered (calibration/conformal.py).
origin = "{rows} comparisons of {sets} published sets"

"""


def main() -> None:
    sets = shipped_rows()
    compared = [residual for name, rows in sets.items() for residual in residuals(rows, name)]
    sized = [found for name, rows in sets.items() for found in residuals(rows, name, seen_as=of_its_size)]
    lines = [HEAD.format(rows=len(compared), sets=len(sets)) + "[spreads]"]
    for key, spread in sorted((spreads(compared) | spreads(sized)).items()):
        lines.append(f'"{key}" = {{ low = {spread.low:.4f}, high = {spread.high:.4f}, rows = {spread.rows} }}')
    (catalog.DATA / "intervals.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    evidence(compared)
    print("\n".join([*coverage(compared), "", *cost_of_not_knowing(compared, sized)]))


#: Regimes of fewer rows are in the file, not in the table.
LEAST_SHOWN = 50


def coverage(compared: list[Residual]) -> Iterator[str]:
    """The most particular regimes: the interval, and the share of rows covered when their model or GPU took no part."""
    groups: dict[str, list[Residual]] = defaultdict(list)
    for residual in compared:
        groups[residual.regime.keys(residual.measure)[0]].append(residual)
    found = spreads(compared)
    yield "| regime | rows | measured / predicted | as is, model left out | by | model left out | GPU left out |"
    yield "|---|---|---|---|---|---|---|"
    for key, group in sorted(groups.items()):
        if key not in found or len(group) < LEAST_SHOWN:
            continue
        taken = widening(group)
        plain, models = (coverage_left_out(group, lambda r: r.model, factor) for factor in (1.0, taken))
        cards = coverage_left_out(group, lambda r: r.gpu, taken)
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


def evidence(compared: list[Residual]) -> None:
    """Closed-loop TPOT by model, GPU and engine: how many were measured, and the median error there."""
    groups: dict[tuple[str, ...], list[Residual]] = defaultdict(list)
    for residual in compared:
        if residual.measure == "tpot_mean_s" and residual.regime.kind == "closed":
            card = gpu(residual.gpu)
            found = model(residual.model)
            key = (found.id.split("/")[-1], str(found.params), card.id, card.architecture, residual.regime.engine)
            groups[key].append(residual)
    with (catalog.DATA / "evidence.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("model", "params", "gpu", "architecture", "engine", "measurements", "tpot_error", "versions"))
        for key, group in sorted(groups.items()):
            versions = sorted({r.version for r in group if r.version[:1].isdigit()})
            errors = [abs(r.predicted / r.measured - 1) for r in group]
            writer.writerow((*key, len(group), f"{median(errors):.4f}", " ".join(versions)))


if __name__ == "__main__":
    main()
