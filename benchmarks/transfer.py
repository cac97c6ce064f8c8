"""How far what one deployment taught holds for its kin: python benchmarks/transfer.py [--all]

Every published deployment of vLLM with three points and more (of all engines with --all) is calibrated alone. Each then
predicts its kin under the same release with shares of its multipliers: 0 is the general model, 1 takes all over.
Printed: absolute log errors of TPOT and TTFT by kinship and share (mean, %; the least gives
`calibration.own.KINSHIP`), and 1.48 × the median difference of two kin's mean errors (`KIN_SPREADS`, log). Minutes.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import mean, median

from infrascale.calibration.own import Case, calibrate, slopes_at
from infrascale.calibration.residuals import excluded, impossible, shipped_rows, unlike
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.tables import Row, number

SETS = ("aic_silicon", "llmd_benchmark_history", "surajssd_llm_k8s")
MOST_POINTS, LEAST_POINTS = 16, 3
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@dataclass(frozen=True)
class Taught:
    """A deployment: what it taught (log), and each point's measure, error under the general model, and slopes."""

    one: Asked
    multipliers: tuple[float, ...]
    points: list[tuple[str, float, list[float]]]

    def mean_error(self, measure: str) -> float | None:
        found = [error for name, error, _ in self.points if name == measure]
        return mean(found) if found else None


def who(source: str, one: Asked) -> tuple:
    d = one.deployment
    return source, d.engine.name, d.engine.version, d.gpu.id, d.model.id, str(d.shard), d.quantization.precision


def cases(source: str, rows: list[Row]) -> Iterator[Case]:
    for row in rows:
        try:
            one = None if excluded(row) else asked(row)
            if one is None or one.prefill or one.load_kind not in ("closed", "open") or impossible(row, one):
                continue
        except InfraScaleError:
            continue
        seen = {key: number(row, f"{key}_mean_s") for key in ("tpot", "ttft") if not unlike(row, f"{key}_mean_s")}
        if any(seen.values()):
            yield Case(asked=one, measured={key: value for key, value in seen.items() if value})


def taught(group: list[Case]) -> Taught:
    general = efficiency()
    group = group[:: max(1, len(group) // MOST_POINTS)]
    found, errors = calibrate(group, general, steps=8)
    left, points = iter(errors), []
    for case in group:
        slopes = slopes_at(case.asked, general, found.multipliers)[1]
        points += [
            (error.measure, error.before, slopes[error.measure]) for error, _ in zip(left, case.measured, strict=False)
        ]
    return Taught(group[0].asked, found.multipliers, points)


def kin(a: Taught, b: Taught) -> str:
    """How two deployments under one release are kin; empty where they are none."""
    one, other = a.one.deployment, b.one.deployment
    if (one.engine.name, one.engine.version) != (other.engine.name, other.engine.version):
        return ""
    if one.model.id == other.model.id:
        return "cut" if one.gpu.id == other.gpu.id else "card"
    if one.gpu.id == other.gpu.id:
        return "model"
    return "generation" if one.gpu.architecture == other.gpu.architecture else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true")
    every_engine = parser.parse_args().all
    groups: dict[tuple, list[Case]] = defaultdict(list)
    for source in SETS:
        for case in cases(source, shipped_rows()[source]):
            if every_engine or case.asked.deployment.engine.name == "vllm":
                groups[who(source, case.asked)].append(case)
    every = [taught(group) for group in groups.values() if len(group) >= LEAST_POINTS]
    errors, apart = defaultdict(list), defaultdict(list)
    for teacher, pupil in itertools.permutations(every, 2):
        name = kin(teacher, pupil)
        for measure, before, slopes in pupil.points if name else ():
            moved = sum(s * t for s, t in zip(slopes, teacher.multipliers, strict=True))
            for share in SHARES:
                errors[name, measure, share].append(abs(before - share * moved))
        for measure in ("tpot", "ttft") if name else ():
            means = teacher.mean_error(measure), pupil.mean_error(measure)
            if None not in means:
                apart[name, measure].append(abs(means[0] - means[1]))
    print(f"{len(every)} deployments\n{'share':<18}" + "".join(f"{share:>8}" for share in SHARES) + "   apart")
    for name, measure in sorted(apart):
        cells = "".join(f"{100 * mean(errors[name, measure, share]):>8.1f}" for share in SHARES)
        print(f"{name:<12}{measure:<6}{cells}{1.48 * median(apart[name, measure]):>8.3f}")


if __name__ == "__main__":
    main()
