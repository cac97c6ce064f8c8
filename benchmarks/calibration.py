"""What calibrating on one deployment does for itself and for its kin: python benchmarks/calibration.py FOLDER

FOLDER holds etalab_decoded.csv (published load tests of the French state's API, not shipped: no licence stated).
Learns from the rows of Mistral on one H100 PCIe and from nothing else; TPOT, absolute error, mean / median, %.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from math import exp
from pathlib import Path
from statistics import mean, median

from infrascale.calibration.own import Case, calibrate, expected
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import asked


def cases(path: Path) -> dict[tuple[str, str, str], list[Case]]:
    found = defaultdict(list)
    for row in csv.DictReader(path.open(encoding="utf-8")):
        case = Case(asked=asked(row), measured={"tpot": float(row["tpot_mean_s"])})
        found[row["model"].split("/")[-1].split("-")[0], row["tp"], Path(row["path"]).stem].append(case)
    return found


def percent(logs: list[float]) -> str:
    errors = [100 * abs(exp(-value) - 1) for value in logs]
    return f"{mean(errors):5.1f} / {median(errors):4.1f}"


def off(case: Case, curves) -> float:
    from math import log

    return log(case.measured["tpot"]) - expected(case.asked, curves)["tpot"]


def main(folder: str) -> None:
    files, general = cases(Path(folder) / "etalab_decoded.csv"), efficiency()
    print("within a file                          points   before         after    left out")
    for (model, tp, name), group in sorted(files.items()):
        _, errors = calibrate(group, general)
        columns = ([e.before for e in errors], [e.after for e in errors], [e.left_out for e in errors])
        print(f"{model:<8} tp {tp} {name:<26} {len(group):>4}   " + "   ".join(map(percent, columns)))
    for teacher in (("Mistral", "1"), ("Llama", "1")):
        learnt, _ = calibrate([c for (m, tp, _), g in files.items() if (m, tp) == teacher for c in g], general)
        print(f"\nlearnt from {teacher[0]} on {teacher[1]} GPU       points   before         after")
        for pupil in sorted({(m, tp) for m, tp, _ in files}):
            group = [c for (m, tp, _), g in files.items() if (m, tp) == pupil for c in g]
            deployment = group[0].asked.deployment
            curves = learnt.efficiency(general, deployment.gpu, deployment.model)
            after = [off(c, curves) for c in group]
            print(f"  {pupil[0]:<8} tp {pupil[1]}  {len(group):>20}   ", end="")
            print(f"{percent([off(c, general) for c in group])}   {percent(after)}")


if __name__ == "__main__":
    main(sys.argv[1])
