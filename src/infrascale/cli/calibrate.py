"""`infrascale calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrascale.cli.errors import errors_as
from infrascale.cli.flags import Json, Model, Text

if TYPE_CHECKING:
    from infrascale.calibration.own import Calibration, Error
    from infrascale.loadtests import LoadTest

FEW_POINTS = 3


def calibrate(
    results: Annotated[list[str], typer.Argument(help="What load-test tools wrote; any format that is known.")],
    gpu: Annotated[str | None, typer.Option(help="GPU kind they ran on, where the files do not say.")] = None,
    model: Model = None,
    tp: Annotated[int | None, typer.Option(help="Tensor-parallel degree.", min=1, max=1024)] = None,
    gpu_count: Annotated[int | None, typer.Option(help="GPUs in all, where replicas shared the load.", min=1)] = None,
    engine: Text = None,
    engine_version: Text = None,
    precision: Annotated[str | None, typer.Option(help="Weight format.")] = None,
    isl: Annotated[float | None, typer.Option(help="Input tokens, where the files do not say.", min=1)] = None,
    osl: Annotated[float | None, typer.Option(help="Output tokens, where the files do not say.", min=2)] = None,
    max_num_seqs: Annotated[int | None, typer.Option(help="As the server was started.", min=1)] = None,
    max_num_batched_tokens: Annotated[int | None, typer.Option(help="As the server was started.", min=1)] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="The calibration file to write.")] = "calibration.toml",
    plot: Annotated[str | None, typer.Option(help="Draw predicted against measured into this PNG or SVG.")] = None,
    as_json: Json = False,
) -> None:
    """Learn your own engine and cards from load tests, on top of the general model."""
    from infrascale.calibration.cases import KNOBS

    words = ("gpu", "model", "tp", "gpu_count", "engine", "engine_version", "precision", "isl", "osl", *KNOBS)
    given = {key: str(value) for key, value in locals().items() if key in words and value is not None}
    with errors_as(as_json):
        _calibrate(results, given, out, plot, as_json)


def _calibrate(results: list[str], given: dict[str, str], out: str, plot: str | None, as_json: bool) -> None:
    import json

    from infrascale.calibration.cases import cases_of, differing
    from infrascale.calibration.own import calibrate as fitted
    from infrascale.errors import ScenarioError
    from infrascale.loadtests import read_all
    from infrascale.locales import words
    from infrascale.parsing.efficiencies import efficiency
    from infrascale.writing import write

    tests = read_all(results)
    cases, left_out = cases_of(tests, given)
    if not cases:
        w = words()
        why = "; ".join(f"{path}: {w.say(f'calibrate.left_{code}')}" for path, code in left_out[:3])
        raise ScenarioError("no point can be used", why=why, fix="see the reasons above")
    found, errors = fitted(cases, efficiency())
    if plot:
        _draw(errors, plot)
    written = [*([plot] if plot else []), *map(str, write({out: _file(found, results)}, "."))]
    if as_json:
        print(json.dumps(_as_json(tests, found, errors, left_out, written), indent=2))
        return
    print("\n".join(_lines(tests, found, errors, left_out, differing(tests, given))))
    print(*written, sep="\n")


def _file(found: Calibration, results: list[str]) -> str:
    from datetime import date
    from hashlib import sha256
    from pathlib import Path

    from infrascale.calibration.saved import as_toml

    digest = sha256(b"".join(sha256(Path(path).read_bytes()).digest() for path in results)).hexdigest()
    names = [Path(path).name for path in results]
    return as_toml(found, made=date.today().isoformat(), data_sha256=digest, files=names)


def _as_json(
    tests: list[LoadTest], found: Calibration, errors: list[Error], left_out: list[tuple[str, str]], written: list[str]
) -> dict[str, Any]:
    """The same as on the screen, in the codes and names of files."""
    from math import exp

    from infrascale.calibration.own import NAMES

    return {
        "gpu": found.gpu,
        "model": found.model,
        "seen": [{"model": model, "gpus": gpus} for model, gpus in found.seen],
        "engine": found.engine,
        "points": found.points,
        "read": [
            {"file": t.path, "format": t.format, "points": len(t.points), "notes": [n.code for n in t.notes]}
            for t in tests
        ],
        "left_out": [{"file": path, "why": code} for path, code in left_out],
        "error_fraction": {
            measure: {key: _percent([getattr(e, key) for e in own]) / 100 for key in ("before", "after", "left_out")}
            for measure in ("tpot", "ttft")
            if (own := [e for e in errors if e.measure == measure])
        },
        "multipliers": {
            name: dict(zip(("low", "best", "high"), map(exp, _ends(found, index)), strict=True))
            for index, name in enumerate(NAMES)
        },
        "measured": {key: list(ends) for key, ends in found.region.items()},
        "files": written,
    }


def _ends(found: Calibration, index: int) -> tuple[float, float, float]:
    """Low, best and high of a multiplier's logarithm, 90 %."""
    from math import sqrt

    from infrascale.calibration.own import Z_90

    best, spread = found.multipliers[index], Z_90 * sqrt(found.covariance[index][index])
    return best - spread, best, best + spread


def _lines(
    tests: list[LoadTest],
    found: Calibration,
    errors: list[Error],
    left_out: list[tuple[str, str]],
    other: list[tuple[str, str, str]],
) -> list[str]:
    from math import exp
    from textwrap import wrap

    from infrascale.calibration.own import NAMES
    from infrascale.locales import words

    w = words()
    title = w.say("calibrate.points", n=found.points, model=", ".join(found.models), gpu=found.gpu, engine=found.engine)
    lines = wrap(title, 78, subsequent_indent="  ")
    kinds = {t.format: sum(len(u.points) for u in tests if u.format == t.format) for t in tests}
    lines += [f"  {w.say('calibrate.read', n=n, format=name)}" for name, n in kinds.items()]
    lines += notes(tests)
    for key, said, taken in other:
        lines += wrapped(w.say("calibrate.differs", what=key, said=said, taken=taken))
    for path, why in left_out:
        lines += wrapped(w.say("calibrate.left_out", path=path, why=w.say(f"calibrate.left_{why}")))
    if found.points < FEW_POINTS:
        lines += wrapped(w.say("calibrate.few"))
    titles = [w.say(f"calibrate.{key}") for key in ("errors", "general", "calibrated", "left")]
    lines += ["", f"  {titles[0]:<22}{titles[1]:>11} {titles[2]:>12} {titles[3]:>22}"]
    for measure in ("tpot", "ttft"):
        own = [e for e in errors if e.measure == measure]
        if own:
            cells = [w.number(_percent([getattr(e, k) for e in own]), 1) for k in ("before", "after", "left_out")]
            lines.append(f"  {measure.upper():<22}{cells[0]:>9} % {cells[1]:>10} % {cells[2]:>20} %")
    learnt, times, interval = (w.say(f"calibrate.{key}") for key in ("learnt", "times", "interval"))
    lines += ["", f"  {learnt:<26}{times:>8}   {interval}"]
    for index, name in enumerate(NAMES):
        low, best, high = (w.number(exp(end), 2) for end in _ends(found, index))
        lines.append(f"  {w.say(f'calibrate.{name}'):<26}{best:>8}   {low} … {high}")
    spans = {key: _span(*ends) for key, ends in found.region.items()}
    return [*lines, "", *_indented(w.say("calibrate.measured", **spans)), ""]


def _span(low: float, high: float) -> str:
    from infrascale.locales import words

    w = words()
    return w.short(low) if w.short(low) == w.short(high) else f"{w.short(low)} … {w.short(high)}"


def _indented(text: str) -> list[str]:
    from textwrap import wrap

    return wrap(text, 78, initial_indent="  ", subsequent_indent="  ")


def notes(tests: list[LoadTest]) -> list[str]:
    """What a person should know before trusting these files: each kind of note once."""
    from infrascale.locales import words

    w, lines = words(), []
    every = [note for test in tests for note in test.notes]
    for code in dict.fromkeys(note.code for note in every):
        alike = [note for note in every if note.code == code]
        more = " " + w.say("calibrate.and_more", n=len(alike) - 1) if len(alike) > 1 else ""
        lines += wrapped(w.say(f"note.{code}", **alike[0].values) + more)
    return lines


def wrapped(text: str) -> list[str]:
    """A warning, within the screen."""
    from textwrap import wrap

    return wrap(text, 78, initial_indent="  ! ", subsequent_indent="    ")


def _percent(logs: list[float]) -> float:
    from math import exp

    return 100 * sum(abs(exp(-value) - 1) for value in logs) / len(logs)


def _draw(errors: list[Error], path: str) -> None:
    """Predicted against measured, before and after; the diagonal is right."""
    from math import exp

    from infrascale.errors import ScenarioError
    from infrascale.locales import words

    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ScenarioError("no plot", why="matplotlib is missing", fix="pip install 'infrascale[plots]'") from None
    w = words()
    measures = [m for m in ("tpot", "ttft") if any(e.measure == m for e in errors)]
    figure = Figure(figsize=(4.6 * len(measures), 4.2), layout="constrained")
    for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
        own = [(e, e.case.measured[measure]) for e in errors if e.measure == measure]
        for name, key, colour in (
            (w.say("calibrate.line_general"), "before", "#9a9a9a"),
            (w.say("calibrate.calibrated"), "after", "#0a5fb4"),
        ):
            predicted = [seconds * exp(-getattr(e, key)) for e, seconds in own]
            axes.plot([s for _, s in own], predicted, "o", color=colour, alpha=0.8, label=name)
        ends = [min(s for _, s in own) / 1.3, max(s for _, s in own) * 1.3]
        axes.plot(ends, ends, color="black", linewidth=0.8)
        axes.set(xscale="log", yscale="log", xlabel=w.say("calibrate.axis_measured", measure=measure.upper()))
        axes.set_ylabel(w.say("calibrate.axis_predicted"))
        axes.legend(frameon=False)
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise ScenarioError(f"{path} cannot be drawn", why=str(error), fix="name a .png or .svg file") from None
