"""A catalog entry as people read it: each figure in its usual unit, and where it comes from.

In: an entry's TOML as a dictionary.    Out: lines within 80 columns, the same in every language (names and sources).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import Any

from infrascale.units import GIB

WIDTH, LABEL = 80, 18
Entry = Mapping[str, Any]


def _bytes(value: float) -> str:
    return f"{value / 1e9:,.1f} GB = {value / GIB:,.1f} GiB"


def _link(value: Entry) -> str:
    return f"{value['kind']}, {value['bytes_per_s'] / 1e9:,.0f} GB/s one way, among {value['gpus']} GPUs"


def _flop(value: Entry) -> str:
    return ", ".join(f"{dtype} {rate / 1e12:,.0f}" for dtype, rate in value.items()) + " TFLOP/s, dense"


def _price(value: Entry) -> str:
    names = {"usd_purchase": "to buy", "usd_per_hour": "an hour"}
    return "; ".join(f"{low:,.7g} to {high:,.7g} USD {names.get(key, key)}" for key, (low, high) in value.items())


def _listed(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


#: Field → what it is called and how it is read; others are shown as they are.
SHOWN: dict[str, tuple[str, Callable[[Any], str]]] = {
    "hbm_bytes": ("memory", _bytes),
    "hbm_bytes_per_s": ("bandwidth", lambda value: f"{value / 1e12:.2f} TB/s"),
    "flop_per_s": ("arithmetic", _flop),
    "price": ("price", _price),
    "link": ("link", _link),
    "offered": ("in --gpu any", lambda value: "yes" if value else "no, answered by name only"),
    "power_w": ("power", lambda value: f"{value:,.0f} W"),
    "idle_power_w": ("idle power", lambda value: f"{value:,.0f} W"),
    "params": ("parameters", lambda value: f"{value / 1e9:,.2f} billion"),
    "active_params": ("active in a token", lambda value: f"{value / 1e9:,.2f} billion"),
    "kv_bytes_per_token": ("cache of a token", lambda value: f"{value:,.0f} bytes"),
}
APART = ("config", "sources", "notes")


def entry_lines(name: str, entry: Entry) -> list[str]:
    """Figures first, then the sources: one line for all figures that share one."""
    lines = [str(entry.get("name") or entry.get("id")), f"  {'id':<{LABEL}}{name}"]
    for key, value in entry.items():
        if key in APART or key in ("name", "id") or value in ([], {}, None):
            continue
        label, read = SHOWN.get(key, (key.replace("_", " "), _read))
        lines += _paragraph(read(value), f"  {label:<{LABEL}}")
    if notes := entry.get("notes"):
        lines += ["", *_paragraph(str(notes), "  ")]
    return [*lines, "", "  sources", *_sources(entry.get("sources", {}))]


def _read(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_listed(one)}" for key, one in value.items())
    return _listed(value)


def _sources(sources: Mapping[str, Entry]) -> list[str]:
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for key, source in sources.items():
        day = f"checked {source['checked']}" if "checked" in source else f"entered {source.get('entered', '')}"
        label = SHOWN[key][0] if key in SHOWN else key.replace("_", " ")
        grouped.setdefault((source["kind"], source["at"], day), []).append(label)
    lines = []
    for (kind, at, day), labels in grouped.items():
        lines += _paragraph(f"{', '.join(labels)}: {kind}, {day}", "    ")
        lines += _paragraph(at, "      ")
    return lines


def _paragraph(text: str, start: str) -> list[str]:
    rest = " " * len(start)
    return wrap(text, WIDTH, initial_indent=start, subsequent_indent=rest, break_on_hyphens=False)
