"""What calibrating on one deployment does for itself and for its kin: python benchmarks/calibration.py FOLDER

FOLDER holds etalab_decoded.csv (published load tests of the French state's API, not shipped: no licence stated).
TPOT, absolute error, mean / median, %: within each file before, after and with each point left out; then of others
after learning from one deployment alone, or from two whose parts are theirs, with the share of points inside the 90 %
interval.
A file whose rows say "tokens characters / 4.6" did not count its tokens: they were estimated from the answers' length.
"""

from __future__ import annotations

import csv
import re
import sys
from collections import defaultdict
from math import exp, log
from pathlib import Path
from statistics import mean, median

from infrascale.calibration.own import Calibration, Case, Error, calibrate, expected, scaled
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import asked

Name = tuple[str, str, str]  # model, tp, file


def cases(path: Path) -> dict[Name, tuple[str, list[Case]]]:
    """By file: how its tokens were counted, and its points."""
    found: dict[Name, tuple[str, list[Case]]] = defaultdict(lambda: ("", []))
    for row in csv.DictReader(path.open(encoding="utf-8")):
        burst = re.search(r"burst of (\d+)", row["notes"])
        measured = {"tpot": float(row["tpot_mean_s"])}
        case = Case(asked=asked(row), measured=measured, requests=float(burst[1]) if burst else None)
        name = row["model"].split("/")[-1].split("-")[0], row["tp"], Path(row["path"]).stem
        found[name] = "counted" if "tokens counted" in row["notes"] else "estimated", [*found[name][1], case]
    return found


def percent(logs: list[float]) -> str:
    errors = [100 * abs(exp(-value) - 1) for value in logs]
    return f"{mean(errors):5.1f} / {median(errors):4.1f}"


def off(case: Case, curves) -> float:
    return log(case.measured["tpot"]) - expected(case.asked, curves)["tpot"]


def inside(case: Case, learnt: Calibration, general) -> bool:
    low, _, high = learnt.interval(case.asked, general)["tpot"]
    return low <= case.measured["tpot"] <= high


def within(files: dict[Name, tuple[str, list[Case]]], general) -> None:
    print("within a file                      tokens     points  before       after        left out")
    for (model, tp, name), (counted, group) in sorted(files.items()):
        errors: list[Error] = calibrate(group, general)[1]
        columns = ([e.before for e in errors], [e.after for e in errors], [e.left_out for e in errors])
        print(f"{model:<8} tp {tp} {name[10:]:<20} {counted:<10} {len(group):>4}   {'  '.join(map(percent, columns))}")


def main(folder: str) -> None:
    files, general = cases(Path(folder) / "etalab_decoded.csv"), efficiency()
    within(files, general)
    by = defaultdict(list)
    for (model, tp, _), (_, group) in files.items():
        by[model, tp] += group
    alone = [(f"{name:<8} tp {tp}", taught) for (name, tp), taught in sorted(by.items(), reverse=True)]
    parts = [(f"{a} tp 1, {b} tp 2", by[a, "1"] + by[b, "2"]) for a, b in (("Mistral", "Llama"), ("Llama", "Mistral"))]
    for teacher, taught in alone + parts:
        learnt, _ = calibrate(taught, general)
        print(f"\nlearnt from {teacher}  points  before       after        inside 90 %")
        for pupil, group in sorted(by.items()):
            deployment = group[0].asked.deployment
            curves = scaled(general, learnt.at(deployment)[0])
            share = mean(inside(case, learnt, general) for case in group)
            before, after = (percent([off(case, law) for case in group]) for law in (general, curves))
            print(f"  {pupil[0]:<8} tp {pupil[1]} {len(group):>17}   {before}  {after} {share:>10.0%}")


if __name__ == "__main__":
    main(sys.argv[1])
