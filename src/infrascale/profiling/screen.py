"""A profile as one screen of 80 columns, and as JSON. No number is computed here but roundings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from infrascale.locales import words
from infrascale.profiling.document import Profile
from infrascale.profiling.forward import Learnt


def profile_lines(found: Profile) -> list[str]:
    w, gpu = words(), found.gpu
    lines = [w.say("profile.listed" if found.in_catalog else "profile.unlisted", name=gpu.name)]
    bandwidth, rate = w.number(gpu.hbm_bytes_per_s / 1e9, 1), w.number(gpu.rate("bf16") / 1e12, 2)
    lines.append("  " + w.say("profile.facts", memory=w.quantity(gpu.hbm_bytes, "bytes"), gbps=bandwidth, tflops=rate))
    columns = (("samples", 9), ("launch", 12), ("error", 9), ("shipped", 18))
    titles = "".join(f"{w.say(f'profile.{key}'):>{wide}}" for key, wide in columns)
    lines += ["", f"  {w.say('profile.operator'):<28}{titles}"]
    for (kind, format), one in found.fits.items():
        launch = f"{w.number(1e6 * one.values.get('launch_s', 0.0), 1)} µs"
        shipped = f"× {w.number(one.shipped_ratio, 2)}" if one.shipped_ratio else "–"
        label = f"{w.say(f'profile.kind_{kind}')}, {format}"
        lines.append(f"  {label:<28}{one.samples:>9}{launch:>12}{w.percent(one.error_fraction, 1):>9}{shipped:>18}")
    if found.bus:
        lines.append("")
        for n, seconds in found.bus["latency_s"].items():
            share = w.number(found.bus["bus_fraction"][n] * gpu.link.bytes_per_s / 1e9, 1)
            lines.append("  " + w.say("profile.link", gpus=n, us=w.number(1e6 * seconds, 1), gbps=share))
    lines += [f"  ! {note}"[:80] for note in found.notes]
    return [*lines, "", w.say("profile.took", seconds=w.number(found.seconds))]


def forward_lines(found: Learnt) -> list[str]:
    w = words()
    lines = [
        w.say("profile.forward", before=w.percent(found.before_fraction, 1), after=w.percent(found.after_fraction, 1))
    ]
    lines += [f"  {w.say(f'calibrate.{name}'):<28}× {w.number(m, 2)}" for name, m in found.multipliers.items()]
    return [*lines, ""]


def profile_json(found: Profile) -> dict[str, Any]:
    return {
        "gpu": found.gpu.id,
        "in_catalog": found.in_catalog,
        "device": found.device,
        "tool": found.tool,
        "seconds": found.seconds,
        "hbm_bytes": found.gpu.hbm_bytes,
        "hbm_bytes_per_s": found.gpu.hbm_bytes_per_s,
        "flop_per_s": dict(found.gpu.flop_per_s),
        "curves": {f"{kind}/{format}": asdict(one) for (kind, format), one in found.fits.items()},
        "bus": found.bus,
        "notes": list(found.notes),
    }
