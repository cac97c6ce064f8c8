"""A design and a verdict as screens of 80 columns, and as JSON. No number is computed here but roundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infrascale.locales import Words, words
from infrascale.verifying.design import Design
from infrascale.verifying.verdict import Verdict


def design_lines(found: Design, written: Sequence[Path]) -> list[str]:
    w = words()
    minutes = w.number(sum(probe.seconds for probe in found.probes) / 60, 1)
    lines = [w.say("loadtest.title", n=len(found.probes), minutes=minutes), ""]
    titles = (("load", 18), ("lengths", 16), ("requests", 9), ("tpot", 15), ("ttft", 17))
    lines.append("  " + "".join(f"{w.say(f'loadtest.{key}'):>{wide}}" for key, wide in titles))
    for probe in found.probes:
        load = _load(w, probe.concurrency, probe.request_per_s)
        cells = (load, _lengths(w, probe.isl_tokens, probe.osl_tokens), w.number(probe.requests))
        ends = [_ends(w, *probe.expected[measure]) for measure in ("tpot", "ttft")]
        row = "".join(f"{cell:>{wide}}" for cell, (_, wide) in zip((*cells, *ends), titles, strict=True))
        lines.append(("→ " if probe.planned else "  ") + row)
    lines += ["", "  " + w.say("loadtest.arrow"), ""]
    for measure in found.before:
        ends = {name: f"× {w.number(getattr(found, name)[measure], 2)}" for name in ("before", "after", "even")}
        lines.append("  " + w.say("loadtest.narrows", measure=measure.upper(), **ends))
    return [*lines, "", *(f"  {path}" for path in written)]


def verdict_lines(found: Verdict) -> list[str]:
    w = words()
    lines = [w.say(f"loadtest.verdict_{found.word}")]
    if found.kept is not None:
        lines.append("  " + w.say("loadtest.kept" if found.kept else "loadtest.broken"))
    lines += ["  " + w.say("loadtest.within", n=found.within, of=len(found.judged)), ""]
    titles = (("load", 18), ("lengths", 16), ("measure", 8), ("measured", 10), ("interval", 17), ("place", 9))
    lines.append("  " + "".join(f"{w.say(f'loadtest.{key}'):>{wide}}" for key, wide in titles))
    for one in found.judged:
        cells = (
            _load(w, one.concurrency, one.request_per_s),
            _lengths(w, one.isl_tokens, one.osl_tokens),
            one.measure.upper(),
            _time(w, one.measured_s),
            _ends(w, one.low_s, one.best_s, one.high_s),
            w.say(f"loadtest.place_{one.place}"),
        )
        row = "".join(f"{cell:>{wide}}" for cell, (_, wide) in zip(cells, titles, strict=True))
        lines.append(("→ " if one.planned else "  ") + row)
    for path in dict.fromkeys(found.left_out):
        lines.append(f"  ! {w.say('loadtest.left_out', path=path)}"[:80])
    return [*lines, "", "  " + w.say("loadtest.arrow")]


def design_json(found: Design) -> dict[str, Any]:
    return {"design": asdict(found)}


def verdict_json(found: Verdict) -> dict[str, Any]:
    judged = [asdict(one) | {"place": one.place} for one in found.judged]
    whole = {"word": found.word, "holds": found.holds, "promise_kept": found.kept, "within": found.within}
    return {"verdict": whole | {"judged": judged, "left_out": list(found.left_out)}}


def _load(w: Words, concurrency: float | None, request_per_s: float | None) -> str:
    if concurrency:
        return w.say("loadtest.clients", n=w.short(concurrency))
    return w.quantity(request_per_s or 0.0, "request_per_s")


def _lengths(w: Words, isl: float, osl: float) -> str:
    return f"{w.number(isl)} → {w.number(osl)}"


def _time(w: Words, seconds: float) -> str:
    return (
        w.say("unit.ms", n=w.number(1000 * seconds, 1 if seconds < 0.1 else 0))
        if seconds < 1
        else w.quantity(seconds, "s")
    )


def _ends(w: Words, low: float, _best: float, high: float) -> str:
    """Both ends in one unit: 21 … 28 ms."""
    if high < 1:
        digits = 1 if high < 0.01 else 0
        return f"{w.number(1000 * low, digits)} … " + w.say("unit.ms", n=w.number(1000 * high, digits))
    return f"{w.number(low, 2)} … " + w.say("unit.s", n=w.number(high, 2))
