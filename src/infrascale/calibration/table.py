"""Accuracy as a table within 80 columns. No number is computed here."""

from __future__ import annotations

from infrascale.calibration.validation import Score, Validation
from infrascale.locales import words

SHORT = {"tpot_mean_s": "TPOT", "ttft_mean_s": "TTFT", "e2e_mean_s": "E2E", "output_tok_per_s_total": "tokens/s",
         "power_w": "W"}  # fmt: skip


def accuracy_lines(found: Validation, scores: dict[str, dict[str, Score]], worst: int) -> list[str]:
    w = words()
    lines = [
        w.say("accuracy.title", comparisons=len(found.residuals), rows=found.rows),
        w.say("accuracy.cell"),
        "",
        f"{'':<30}" + "".join(f"{name:>10}" for name in SHORT.values()),
    ]
    for name, row in scores.items():
        lines.append(f"{name[:29]:<30}" + "".join(f"{_cell(row.get(measure)):>10}" for measure in SHORT))
    lines += ["", w.say("accuracy.left_out", n=sum(found.left_out.values()))]
    lines += [f"  {w.number(count):>5}  {rule}"[:80] for rule, count in found.left_out.items()]
    for measure, short in SHORT.items() if worst else ():
        lines += ["", w.say("accuracy.worst", measure=short)]
        for r in found.worst(measure, worst):
            label = f"{r.source[:12]} {r.regime.engine} {r.regime.kind} {r.model[:22]} {r.gpu[:14]}"
            lines.append(f"  {label:<56}{r.predicted:>10.3g}{r.measured:>10.3g}"[:80])
    return lines


def _cell(score: Score | None) -> str:
    return "–" if score is None else f"{score.mape:.0%}/{score.median:.0%} {score.covered * 100:.0f}".replace("%", "")


def markdown(scores: dict[str, dict[str, Score]]) -> list[str]:
    """The same table for a README: rows, then mean / median error in % of each measure."""
    lines = ["| measurements | " + " | ".join(SHORT.values()) + " |", "|---" * (len(SHORT) + 1) + "|"]
    for name, row in scores.items():
        cells = (row.get(measure) for measure in SHORT)
        shown = ("–" if s is None else f"{s.mape * 100:.0f} / {s.median * 100:.0f} ({s.rows:,})" for s in cells)
        lines.append(f"| {name} | " + " | ".join(shown) + " |")
    return lines
