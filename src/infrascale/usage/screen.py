"""Usage as one screen of 80 columns. No number is computed here but roundings."""

from __future__ import annotations

from collections.abc import Sequence

from infrascale.units import DAY_S, HOUR_S
from infrascale.usage.evidence import Distribution, Usage, Users
from infrascale.usage.workload_file import demand

BARS = " ▁▂▃▄▅▆▇█"
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def usage_lines(usage: Usage, form: str = "auto") -> list[str]:
    source = usage.source
    lines = [f"{source.requests:,} requests in {', '.join(source.kinds)}"]
    if source.span_s:
        dates = f", {source.first} to {source.last}" if source.first else ""
        lines.append(f"  over {_long(source.span_s)}{dates}"[:80])
    if source.left_out:
        lines += [f"  left out: {count:,} {why}" for why, count in source.left_out.items()]
    lines += [f"  ! {one}"[:80] for warning in source.warnings for one in _wrapped(warning)]
    lines += ["", *_demand(usage), *_lengths(usage)]
    if usage.users:
        lines += _users(usage.users)
    lines += [*_bursts(usage), *_profile(usage)]
    keys = ", ".join(f"{key} = {value:.4g}" for key, value in demand(usage, form).items())
    return [*lines, "", "  for plan", f"    {keys}"[:80]]


def _demand(usage: Usage) -> list[str]:
    lines = []
    if usage.request_per_s:
        lines.append(f"  requests per second   mean {_short(usage.request_per_s)}")
    if usage.peak:
        when = f", from {usage.peak.starts}" if usage.peak.starts else ""
        lines.append(f"    busiest hour        {_short(usage.peak.request_per_s)}{when}")
    for name, levels in (("in flight", usage.in_flight), ("connected users", usage.users and usage.users.connected)):
        if levels:
            lines.append(
                f"  {name:<20}  mean {_short(levels.mean)}, median {_short(levels.p50)}, p95 {_short(levels.p95)}, "
                f"most {_short(levels.largest)}"
            )
            lines.append(f"    busiest hour        {_short(levels.peak_hour)}")
    return lines


def _lengths(usage: Usage) -> list[str]:
    lines = ["", "                          mean     p50     p90     p99    most   lognormal"]
    named: Sequence[tuple[str, Distribution | None]] = (
        ("input tokens", usage.input_tokens),
        ("output tokens", usage.output_tokens),
        ("TTFT, s", usage.ttft_s),
        ("duration, s", usage.duration_s),
    )
    for name, found in named:
        if found:
            numbers = (found.mean, found.p50, found.p90, found.p99, found.largest)
            fit = f"{found.log_mean:.2f} ± {found.log_sd:.2f}" if found.log_mean is not None else "–"
            lines.append(f"  {name:<20}" + "".join(f"{_short(n):>8}" for n in numbers) + f"   {fit}")
    if usage.token_per_s:
        lines.append(f"  speed of a request    {usage.token_per_s:.1f} tokens/s after the first token")
    if usage.prefix:
        how = "measured" if usage.prefix.measured else "at most: none forgotten"
        lines.append(f"  prefix-cache hits     {usage.prefix.hit_fraction:.1%} of prompt tokens ({how})")
    return lines


def _users(users: Users) -> list[str]:
    lines = ["", f"  {users.users:,} users" + (f" ({users.stand_in} stands for a user)" if users.stand_in else "")]
    found = users.at
    lines.append(
        f"  requests per user     {_short(users.requests_per_user_day)} a day, "
        f"{_short(users.requests_per_active_hour)} an hour in which active"
    )
    if users.in_flight_per_user is not None and found.share_in_flight is not None:
        lines.append(
            f"  of connected users    {found.share_in_flight:.1%} have a request in flight "
            f"({users.in_flight_per_user:.3f} requests each)"
        )
    how = "found in the log" if users.gap_found else "assumed or given"
    lines.append(f"  sessions: a silence over {found.gap_s / 60:.0f} min ends one ({how})")
    lines.append("    silence    sessions  requests each  think mean, median  requests/h connected")
    for one in sorted((found, *users.sensitivity), key=lambda at: at.gap_s):
        think = f"{_short(one.think_s)}, {_short(one.think_p50_s)} s" if one.think_s and one.think_p50_s else "–"
        hourly = _short(one.requests_per_user_hour) if one.requests_per_user_hour else "–"
        lines.append(
            f"    {one.gap_s / 60:>3.0f} min {one.sessions:>11,} {one.requests_per_session:>14.2f}"
            f" {think:>19} {hourly:>21}"
        )
    if users.parallel_fraction > 0.01:
        lines.append(f"  {users.parallel_fraction:.1%} of requests were sent while another of the same user ran")
    if users.busiest_user_fraction > 0.2:
        lines.append(f"  one user sends {users.busiest_user_fraction:.0%} of all requests: a program, not a person?")
    return lines


def _bursts(usage: Usage) -> list[str]:
    found = usage.burstiness
    if not found:
        return []
    windows = (("1 s", found.dispersion_1s), ("10 s", found.dispersion_10s), ("60 s", found.dispersion_60s))
    told = ", ".join(f"{value:.2f} in {name}" for name, value in windows if value is not None)
    lines = ["", "  burstiness (1 is Poisson, daily profile removed)"]
    if found.cv is not None:
        lines.append(f"    cv of gaps          {found.cv:.2f}")
    return [*lines, f"    dispersion          {told}"] if told else lines


def _profile(usage: Usage) -> list[str]:
    found = usage.profile
    if not found or usage.source.span_s < DAY_S / 4:
        return []
    top = max(value for value in found.by_hour if value is not None) or 1.0
    bars = "".join("·" if v is None else BARS[round(8 * v / top)] for v in found.by_hour)
    lines = ["", f"  hours 0 to 23         {bars}  ({found.timezone})"]
    if usage.source.span_s >= 2 * DAY_S:
        seen = [f"{d} {_short(v)}" for d, v in zip(DAYS, found.by_weekday, strict=True) if v is not None]
        lines.append(f"  requests an hour      {' '.join(seen)}"[:80])
    return lines


def _short(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _long(seconds: float) -> str:
    if seconds >= 2 * DAY_S:
        return f"{seconds / DAY_S:.1f} days"
    return f"{seconds / HOUR_S:.1f} hours" if seconds >= HOUR_S else f"{seconds / 60:.0f} minutes"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 74)
