"""A Plan as people and machines read it: `text` in the reader's language within 80 columns, `record` as JSON."""

from infrascale.screen.record import (
    beyond_json,
    candidate_json,
    capacity_ways,
    certainty_json,
    cut,
    nearest_changes,
    plan_json,
    rest_json,
)
from infrascale.screen.text import (
    answer_sentences,
    capacity_lines,
    capacity_sentences,
    error_lines,
    flow_sentence,
    headline,
    owed,
    percentiles,
    plan_lines,
    proof_and_limit,
    why_lost,
    why_refused,
)  # fmt: skip

__all__ = [
    "answer_sentences",
    "beyond_json",
    "candidate_json",
    "capacity_lines",
    "capacity_sentences",
    "capacity_ways",
    "certainty_json",
    "cut",
    "error_lines",
    "flow_sentence",
    "headline",
    "nearest_changes",
    "owed",
    "percentiles",
    "plan_json",
    "plan_lines",
    "proof_and_limit",
    "rest_json",
    "why_lost",
    "why_refused",
]  # fmt: skip
