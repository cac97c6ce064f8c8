"""Usage as one screen of 80 columns, in the reader's language. No number is computed here but roundings."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from infrascale.locales import Words, words
from infrascale.units import DAY_S, HOUR_S
from infrascale.usage.evidence import Distribution, Usage, Users
from infrascale.usage.workload_file import demand

BARS = " ▁▂▃▄▅▆▇█"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LABEL = 24


def usage_lines(usage: Usage, form: str = "auto", w: Words | None = None) -> list[str]:
    w, source = w or words(), usage.source
    lines = [w.say("usage.title", n=source.requests, kinds=", ".join(source.kinds))]
    if source.span_s:
        dates = f", {source.first} → {source.last}" if source.first else ""
        lines.append(f"  {w.say('usage.over', span=_long(w, source.span_s))}{dates}"[:80])
    for code, count in source.left_out.items():
        lines.append("  " + w.say("usage.left_out", n=count, why=w.say(f"usage.left_{code}")))
    for warned in source.warnings:
        lines += _wrapped(w.say(f"usage.warn_{warned.code}", **warned.values), "  ! ")
    told = _demand(w, usage)
    lines += ["", *told, *_lengths(w, usage)] if told else _lengths(w, usage)
    if usage.users:
        lines += _users(w, usage.users)
    lines += [*_bursts(w, usage), *_profile(w, usage)]
    keys = ", ".join(f"{key} = {value:.4g}" for key, value in demand(usage, form).items())
    return [*lines, "", f"  {w.say('usage.for_plan')}", f"    {keys}"[:80]]


def _row(label: str, text: str) -> str:
    return f"  {label:<{LABEL}}{text}"


def _demand(w: Words, usage: Usage) -> list[str]:
    lines = []
    busiest = "  " + w.say("usage.busiest")
    if usage.request_per_s:
        lines.append(_row(w.say("usage.rate"), w.say("usage.mean", n=_short(w, usage.request_per_s))))
    if usage.peak:
        when = ", " + w.say("usage.from", start=usage.peak.starts) if usage.peak.starts else ""
        lines.append(_row(busiest, _short(w, usage.peak.request_per_s) + when))
    for name, levels in (("in_flight", usage.in_flight), ("connected", usage.users and usage.users.connected)):
        if levels:
            seen = (levels.mean, levels.p50, levels.p95, levels.largest)
            mean, median, p95, most = (_short(w, value) for value in seen)
            told = w.say("usage.levels", mean=mean, median=median, p95=p95, most=most)
            lines += [_row(w.say(f"usage.{name}"), told), _row(busiest, _short(w, levels.peak_hour))]
    return lines


def _lengths(w: Words, usage: Usage) -> list[str]:
    titles = "".join(f"{w.say(f'usage.col_{key}'):>8}" for key in ("mean", "p50", "p90", "p99", "most"))
    lines = ["", f"  {'':<22}{titles}   {w.say('usage.lognormal')}"]
    named: Sequence[tuple[str, Distribution | None]] = (
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("ttft", usage.ttft_s),
        ("duration", usage.duration_s),
    )
    mean_alone = {"input", "output"} if any(one.code == "means" for one in usage.source.warnings) else set()
    for name, found in named:
        if found and name in mean_alone:
            lines.append(f"  {w.say(f'usage.{name}'):<22}{_short(w, found.mean):>8}" + 4 * f"{'–':>8}" + "   –")
        elif found:
            numbers = (found.mean, found.p50, found.p90, found.p99, found.largest)
            spread = (
                f"{w.number(found.log_mean, 2)} ± {w.number(found.log_sd or 0, 2)}"
                if found.log_mean is not None
                else "–"
            )
            cells = "".join(f"{_short(w, n):>8}" for n in numbers)
            lines.append(f"  {w.say(f'usage.{name}'):<22}{cells}   {spread}")
    if usage.token_per_s:
        lines.append(_row(w.say("usage.speed"), w.say("usage.speed_after", n=w.number(usage.token_per_s, 1))))
    if usage.prefix:
        how = w.say("usage.prefix_measured" if usage.prefix.measured else "usage.prefix_most")
        share = w.percent(usage.prefix.hit_fraction, 1)
        lines.append(_row(w.say("usage.prefix"), w.say("usage.prefix_share", share=share, how=how)))
    return lines


def _users(w: Words, users: Users) -> list[str]:
    stands = " " + w.say("usage.stands", what=users.stand_in) if users.stand_in else ""
    lines = ["", "  " + w.say("usage.users", n=users.users) + stands]
    found = users.at
    day, hour = _short(w, users.requests_per_user_day), _short(w, users.requests_per_active_hour)
    lines.append(_row(w.say("usage.per_user"), w.say("usage.per_user_told", day=day, hour=hour)))
    if users.in_flight_per_user is not None and found.share_in_flight is not None:
        share, each = w.percent(found.share_in_flight, 1), w.number(users.in_flight_per_user, 3)
        lines.append(_row(w.say("usage.of_connected"), w.say("usage.share_told", share=share, each=each)))
    how = w.say("usage.gap_found" if users.gap_found else "usage.gap_assumed")
    lines.append("  " + w.say("usage.sessions", minutes=w.number(found.gap_s / 60), how=how))
    titles = (("gap", 9), ("n_sessions", 11), ("each", 15), ("think", 22), ("hourly", 19))
    lines.append("  " + "".join(f"{w.say(f'usage.col_{key}'):>{wide}}" for key, wide in titles))
    for one in sorted((found, *users.sensitivity), key=lambda at: at.gap_s):
        think = f"{_short(w, one.think_s)}, {_short(w, one.think_p50_s)} s" if one.think_s and one.think_p50_s else "–"
        hourly = _short(w, one.requests_per_user_hour) if one.requests_per_user_hour else "–"
        gap = w.say("usage.minutes", n=w.number(one.gap_s / 60))
        cells = (gap, w.number(one.sessions), w.number(one.requests_per_session, 2), think, hourly)
        lines.append("  " + "".join(f"{cell:>{wide}}" for cell, (_, wide) in zip(cells, titles, strict=True)))
    if users.parallel_fraction > 0.01:
        lines += _wrapped(w.say("usage.parallel", share=w.percent(users.parallel_fraction, 1)), "  ")
    if users.busiest_user_fraction > 0.2:
        lines += _wrapped(w.say("usage.one_user", share=w.percent(users.busiest_user_fraction)), "  ")
    return lines


def _bursts(w: Words, usage: Usage) -> list[str]:
    found = usage.burstiness
    if not found:
        return []
    windows = (("1 s", found.dispersion_1s), ("10 s", found.dispersion_10s), ("60 s", found.dispersion_60s))
    told = [w.say("usage.in_window", n=w.number(value, 2), window=name) for name, value in windows if value is not None]
    lines = ["", f"  {w.say('usage.bursts')}"]
    if found.cv is not None:
        lines.append(_row("  " + w.say("usage.cv"), w.number(found.cv, 2)))
    return [*lines, _row("  " + w.say("usage.dispersion"), ", ".join(told))] if told else lines


def _profile(w: Words, usage: Usage) -> list[str]:
    found = usage.profile
    if not found or usage.source.span_s < DAY_S / 4:
        return []
    top = max(value for value in found.by_hour if value is not None) or 1.0
    bars = "".join("·" if v is None else BARS[round(8 * v / top)] for v in found.by_hour)
    lines = ["", _row(w.say("usage.hours"), f"{bars}  ({found.timezone})")]
    if usage.source.span_s >= 2 * DAY_S:
        days = zip(DAYS, found.by_weekday, strict=True)
        seen = [f"{w.say(f'usage.{d}')} {_short(w, v)}" for d, v in days if v is not None]
        lines.append(_row(w.say("usage.hourly"), " ".join(seen))[:80])
    return lines


def _short(w: Words, value: float) -> str:
    """Three digits, as the language writes them; millions as M."""
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{_short(w, value / 1e6)}M"
    if abs(value) >= 100:
        return w.number(value)
    shown = f"{value:.3g}"
    return shown if "e" in shown else w.number(float(shown), len(shown.partition(".")[2]))


def _long(w: Words, seconds: float) -> str:
    if seconds >= 2 * DAY_S:
        return w.say("usage.days", n=w.number(seconds / DAY_S, 1))
    if seconds >= HOUR_S:
        return w.say("usage.n_hours", n=w.number(seconds / HOUR_S, 1))
    return w.say("usage.n_minutes", n=w.number(seconds / 60))


def _wrapped(text: str, first: str) -> list[str]:
    return wrap(text, 78, initial_indent=first, subsequent_indent=" " * len(first))
