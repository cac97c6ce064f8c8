"""A Plan as people and machines read it: `text` in the reader's language within 80 columns, `record` as JSON."""

from infrascale.screen.record import (
    beyond_json,
    candidate_json,
    certainty_json,
    cut,
    nearest_changes,
    plan_json,
    rest_json,
)
from infrascale.screen.text import answer_sentences, capacity_lines, error_lines, plan_lines

__all__ = [
    "answer_sentences",
    "beyond_json",
    "candidate_json",
    "capacity_lines",
    "certainty_json",
    "cut",
    "error_lines",
    "nearest_changes",
    "plan_json",
    "plan_lines",
    "rest_json",
]  # fmt: skip
