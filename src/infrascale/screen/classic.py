"""The original InfraScale's answers as lines and as a record, labelled as what they are: no prediction of ours.

In: GPU kind → Classic, or None where it has no answer.    Out: lines within 80 columns; what `--json` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from infrascale.locales import Words, words
from infrascale.planning.classic import Classic
from infrascale.screen.text import paragraph

Ways = Mapping[str, Classic | None]
NOTE = "the original InfraScale's formulas, for comparison: not a prediction"


def classic_lines(ways: Ways, say: Words | None = None) -> list[str]:
    w = say or words()
    lines = [*paragraph(w.say("classic.title"), ""), ""]
    for gpu, one in ways.items():
        if one is None:
            lines += paragraph(w.say("classic.none"), f"  {gpu:<20}")
            continue
        answer = w.say(
            "classic.answer",
            gpus=w.quantity(one.gpus, "gpus"),
            nodes=w.number(one.nodes),
            size=w.number(one.gpus_per_node),
            b=one.batch_exponent,
            load=w.number(one.load, 2),
            speed=w.quantity(1 / one.tpot_s, "token_per_s"),
            ttft=w.quantity(one.ttft_s, "s"),
        )
        lines += paragraph(answer, f"  {gpu:<20}")
    return [*lines, "", *paragraph(w.say("classic.ours"), "  ")]


def classic_json(ways: Ways) -> dict[str, Any]:
    rows = {
        gpu: asdict(replace(one, gpu=gpu)) | {"gpus": one.gpus} if one else None  # type: ignore[arg-type]
        for gpu, one in ways.items()
    }
    return {"physics": "classic", "note": NOTE, "feasible": any(rows.values()), "ways": rows}
