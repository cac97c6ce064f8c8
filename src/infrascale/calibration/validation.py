"""How far to trust it: every shipped measurement predicted again and compared.

In: measurement rows by set.    Out: Score per group, worst rows, and a plot of predicted against measured.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from infrascale.calibration.residuals import Residual, residuals
from infrascale.parsing.tables import Row
from infrascale.predicting import MEASURES
from infrascale.uncertainty import Spread, intervals

#: What is compared: all that is predicted.
COMPARED = (*MEASURES, "power_w")
GROUPINGS = ("set", "engine", "gpu", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Absolute errors of one measure over `rows` comparisons, as shares; `covered`: share inside the 90 % interval."""

    rows: int
    mape: float
    median: float
    bias: float
    covered: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """`rows` were read; `left_out` of them a written rule excludes, counted by rule."""

    residuals: tuple[Residual, ...]
    rows: int
    left_out: Mapping[str, int]

    def scores(self, by: str) -> dict[str, dict[str, Score]]:
        """Group and measure → Score; the group's name carries the kind of load, which decides what an error means."""
        groups: dict[str, dict[str, list[Residual]]] = defaultdict(lambda: defaultdict(list))
        for residual in self.residuals:
            groups[_name(residual, by)][residual.measure].append(residual)
        return {name: {m: score(found[m]) for m in COMPARED if m in found} for name, found in sorted(groups.items())}

    def worst(self, measure: str, count: int = 10) -> list[Residual]:
        return sorted((r for r in self.residuals if r.measure == measure), key=lambda r: -abs(r.log_ratio))[:count]


def _name(residual: Residual, by: str) -> str:
    engine, kind = residual.regime.engine, residual.regime.kind
    first = {"set": residual.source, "engine": engine, "gpu": residual.gpu, "model": residual.model}[by]
    return f"{first.split('_')[0]} {engine} {kind}" if by == "set" else f"{first} {kind}"


def score(group: Sequence[Residual]) -> Score:
    errors = [abs(r.predicted / r.measured - 1) for r in group]
    table = intervals()
    inside = [_inside(r, table.of(r.measure, r.regime)) for r in group]
    return Score(
        rows=len(group),
        mape=mean(errors),
        median=median(errors),
        bias=median(r.predicted / r.measured - 1 for r in group),
        covered=mean(inside),
    )


def _inside(residual: Residual, spread: Spread) -> bool:
    return spread.low <= -residual.log_ratio <= spread.high


def validation(sets: Mapping[str, Iterable[Row]], done: Callable[[], None] = lambda: None) -> Validation:
    """Predict and compare all rows of all sets; `done` is called once a row."""
    found: list[Residual] = []
    rules: Counter[str] = Counter()
    total = 0
    for name, rows in sets.items():
        rows = list(rows)
        total += len(rows)
        found += residuals(rows, name, done, lambda rule: rules.update((rule,)))
    return Validation(residuals=tuple(found), rows=total, left_out=dict(rules))


def plot(found: Validation, path: str) -> None:
    """Predicted against measured, one panel a measure, the engines by colour and by marker."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    shown = [m for m in COMPARED if any(r.measure == m for r in found.residuals)]
    figure, panels = plt.subplots(1, len(shown), figsize=(4.6 * len(shown), 4.6), squeeze=False)
    marks = {"vllm": "o", "sglang": "^", "trtllm": "s"}
    for panel, measure in zip(panels[0], shown, strict=True):
        rows = [r for r in found.residuals if r.measure == measure]
        low, high = min(r.measured for r in rows) / 2, max(r.measured for r in rows) * 2
        panel.fill_between([low, high], [low * 0.8, high * 0.8], [low * 1.25, high * 1.25], color="0.9", label="±20 %")
        panel.plot([low, high], [low, high], color="0.4", linewidth=1)
        for engine, mark in marks.items():
            own = [r for r in rows if r.regime.engine == engine]
            panel.plot([r.measured for r in own], [r.predicted for r in own], mark, markersize=3, alpha=0.5,
                       label=f"{engine} ({len(own)})", linestyle="none")  # fmt: skip
        panel.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), title=measure,
                  xlabel="measured", ylabel="predicted")  # fmt: skip
        panel.legend(fontsize=8, loc="upper left")
    figure.tight_layout()
    figure.savefig(Path(path), dpi=150)
    plt.close(figure)
