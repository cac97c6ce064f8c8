"""Accuracy as a table within 80 columns. No number is computed here."""

from __future__ import annotations

from textwrap import wrap

from infrascale.calibration.validation import Score, Validation
from infrascale.locales import words

SHORT = {"tpot_mean_s": "TPOT", "ttft_mean_s": "TTFT", "e2e_mean_s": "E2E", "output_tok_per_s_total": "tokens/s",
         "power_w": "W"}  # fmt: skip

LABEL, CELL = 25, 11


def accuracy_lines(found: Validation, scores: dict[str, dict[str, Score]], worst: int) -> list[str]:
    w = words()
    lines = [
        w.say("accuracy.title", comparisons=len(found.residuals), rows=found.rows),
        w.say("accuracy.cell"),
        "",
        f"{'':<{LABEL}}" + "".join(f"{name:>{CELL}}" for name in SHORT.values()),
    ]
    for name, row in scores.items():
        label = name if len(name) < LABEL else name[: LABEL - 2] + "…"
        lines.append(f"{label:<{LABEL}}" + "".join(f"{_cell(row.get(measure)):>{CELL}}" for measure in SHORT))
    lines += ["", w.say("accuracy.left_out", n=sum(found.left_out.values()))]
    for rule, count in found.left_out.items():
        lines += wrap(rule, 80, initial_indent=f"  {w.number(count):>5}  ", subsequent_indent=" " * 9)
    for measure, short in SHORT.items() if worst else ():
        lines += ["", w.say("accuracy.worst", measure=short)]
        for r in found.worst(measure, worst):
            label = f"{r.source[:12]} {r.regime.engine} {r.regime.kind} {r.model[:22]} {r.gpu[:14]}"
            lines.append(f"  {label:<56}{r.predicted:>10.3g}{r.measured:>10.3g}"[:80])
    return lines


def _cell(score: Score | None) -> str:
    if score is None:
        return "–"
    mean, middle = (">999" if share > 9.99 else f"{100 * share:.0f}" for share in (score.mape, score.median))
    return f"{mean}/{middle} {score.covered * 100:.0f}"


def markdown(scores: dict[str, dict[str, Score]]) -> list[str]:
    """The same table for a README: rows, then mean / median error in % of each measure."""
    lines = ["| measurements | " + " | ".join(SHORT.values()) + " |", "|---" * (len(SHORT) + 1) + "|"]
    for name, row in scores.items():
        cells = (row.get(measure) for measure in SHORT)
        shown = ("–" if s is None else f"{s.mape * 100:.0f} / {s.median * 100:.0f} ({s.rows:,})" for s in cells)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines
