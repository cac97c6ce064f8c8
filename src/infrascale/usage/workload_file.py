"""A workload file: the demand as keys that a scenario.toml takes, and the evidence beside them under [usage].

In: Usage.    Out: TOML text. `infrascale plan workload.toml --model … --gpu …` reads the keys and leaves the evidence.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from infrascale.errors import ScenarioError
from infrascale.usage.evidence import Usage

FORMS = ("auto", "users", "rate")


def demand(usage: Usage, form: str) -> dict[str, float]:
    """The keys for `plan`, of the busiest hour: `users` and `think_s` where the log carries them, else the rate.

    Users who think between requests wait longer when the service slows, a rate does not: the first is how people
    behave, the second how programs do. Both give back the measured number in flight at the measured speed (Little's
    law: users / (residence + think) = requests per second).
    """
    if form not in FORMS:
        raise ScenarioError(f"no demand {form[:20]!r}", why="nothing writes it", fix=f"one of {', '.join(FORMS)}")
    peak = usage.peak
    people = usage.users
    able = bool(peak and peak.users and peak.think_s and peak.think_s > 0 and people and people.known_fraction > 0.95)
    if form == "users" and not able:
        raise ScenarioError("the log does not tell users who think",
                            why="users or durations are missing, or users send many requests at once",
                            fix="take the rate: --demand rate")  # fmt: skip
    keys: dict[str, float] = {}
    if peak and able and form != "rate":
        assert peak.users and peak.think_s
        keys |= {"users": max(1.0, peak.users), "think_s": peak.think_s}
    elif peak:
        keys["request_per_s"] = peak.request_per_s
    keys |= {"isl": max(1.0, usage.input_tokens.mean), "osl": max(1.0, usage.output_tokens.mean)}
    if usage.prefix and usage.prefix.measured:
        keys["prefix_hit"] = usage.prefix.hit_fraction
    return keys


def workload_toml(usage: Usage, form: str = "auto") -> str:
    lines = ["# Demand of the busiest hour. Plan with: infrascale plan THIS --model … --gpu …"]
    if usage.peak and usage.peak.starts:
        lines.append(f"# It began {usage.peak.starts}.")
    lines += [f"{key} = {_value(value)}" for key, value in demand(usage, form).items()]
    lines += ["", "# Evidence, for people: plan does not read what follows. Lengths in tokens, times in seconds."]
    return "\n".join(lines + _table("usage", asdict(usage))) + "\n"


def _table(name: str, values: dict[str, Any], header: str = "[{}]") -> list[str]:
    """A table and its sub-tables; what is None is left out, for TOML knows no null (nan in the profile's arrays)."""
    plain = [f"{_key(k)} = {_value(v)}" for k, v in values.items() if v is not None and not _nested(v)]
    lines = ["", header.format(name), *plain] if plain else []
    for key, value in values.items():
        if isinstance(value, dict) and value:
            lines += _table(f"{name}.{_key(key)}", value)
        elif _nested(value):
            for one in value:
                lines += _table(f"{name}.{_key(key)}", one, "[[{}]]")
    return lines


def _nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, (tuple, list)) and bool(value) and isinstance(value[0], dict))


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(float(f"{value:.6g}"))
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join("nan" if one is None else _value(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
