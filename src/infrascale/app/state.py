"""The state of the app is its URL: each field one parameter, left out where it has its default.

In: query parameters, as strangers write them.    Out: values that widgets accept, and parameters again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from infrascale import catalog
from infrascale.exports import targets
from infrascale.locales import languages
from infrascale.parsing.prices import OFFERS, countries
from infrascale.planning import Objective
from infrascale.report import FORMATS

Value = str | float | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One parameter: its default, the choices of a choice, the ends of a number."""

    default: Value
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    most_text: int = 200

    def read(self, raw: Sequence[str]) -> Value:
        """The parameter as a value; what makes no sense is the default, since a URL may come from anywhere."""
        if isinstance(self.default, list):
            found = [word for word in raw if not self.choices or word in self.choices]
            return found[:8] or list(self.default)
        word = raw[0] if raw else ""
        if isinstance(self.default, float):
            try:
                number = float(word)
            except ValueError:
                return self.default
            return min(max(number, self.least), self.most) if isfinite(number) else self.default
        return word[: self.most_text] if word and (not self.choices or word in self.choices) else self.default


def _number(default: float, least: float, most: float) -> Field:
    return Field(default=default, least=float(least), most=float(most))


SCREENS = ("need", "hardware", "answer", "simulation", "cost", "calibrate", "deploy", "compare")
#: What a question says of money and place.
MONEY = ("offer", "currency", "objective", "country", "peak_hour")
DEMANDS = ("users", "agents", "request_per_s")


def fields() -> dict[str, Field]:
    gpus = tuple(catalog.entries("gpus"))
    models = tuple(str(entry["id"]) for entry in catalog.entries("models").values())
    return {
        "lang": Field(default="en", choices=tuple(languages())),
        "goal": Field(default="need", choices=("need", "have")),
        "screen": Field(default="need", choices=SCREENS),
        "demand": Field(default="users", choices=DEMANDS),
        "users": _number(1000.0, 1, 1e9),
        "requests_per_user": _number(0.0, 0, 1),
        "agents": _number(2_500_000.0, 1, 1e10),
        "adoption": _number(0.2, 0.0001, 1),
        "requests_per_day": _number(10.0, 0.001, 1e5),
        "peak_hour": _number(0.15, 0.042, 1),
        "request_per_s": _number(10.0, 0.001, 1e6),
        "isl": _number(1000.0, 1, 1e6),
        "osl": _number(400.0, 1, 1e6),
        "prefix_hit": _number(0.0, 0, 1),
        "tokens_per_s": _number(20.0, 0.1, 1000),
        "ttft": _number(2.0, 0.01, 600),
        "model": Field(default="mistralai/Mistral-Small-3.1-24B-Instruct-2503", choices=models),
        "precision": Field(default="", choices=("bf16", "fp8", "int8", "int4", "nvfp4", "mxfp4")),
        "gpu": Field(default=["h100-sxm"], choices=gpus),
        "kv_cache_dtype": Field(default="auto", choices=("auto", "fp8", "bf16")),
        "headroom": _number(0.0, 0, 10),
        "redundancy": _number(0.0, 0, 100),
        "max_gpus": _number(0.0, 0, 1e7),
        "owned": _number(24.0, 1, 1e7),
        "calibrated": Field(default="", choices=("yes",)),
        "target": Field(default="compose", choices=tuple(targets())),
        "format": Field(default="pdf", choices=FORMATS),
        "a": Field(default="", most_text=4000),
        "b": Field(default="", most_text=4000),
        "film": Field(default="day", choices=("day", "loss")),
        "traffic": _number(1.0, 0.05, 3),
        "down_min": _number(10.0, 1, 60),
        "offer": Field(default="rent", choices=tuple(OFFERS)),
        "currency": Field(default="", choices=("EUR", "USD")),
        "rate": _number(0.0, 0, 5),
        "objective": Field(default="gpus", choices=tuple(one.value for one in Objective)),
        "country": Field(default="FRA", choices=tuple(countries())),
    }


def read(parameters: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Every field, from the parameters or its default."""
    return {name: field.read(parameters.get(name, ())) for name, field in fields().items()}


def written(values: Mapping[str, Value]) -> dict[str, str | list[str]]:
    """The parameters that differ from their defaults."""
    found: dict[str, str | list[str]] = {}
    for name, field in fields().items():
        value = values.get(name, field.default)
        if value != field.default:
            found[name] = value if isinstance(value, list) else f"{value:g}" if isinstance(value, float) else value
    return found


def question(values: Mapping[str, Value]) -> dict[str, object]:
    """The keys of scenario.toml that these values ask."""
    always = ("model", "gpu", "isl", "osl", "prefix_hit", "tokens_per_s", "ttft", "kv_cache_dtype", "headroom")
    asked: dict[str, object] = {name: values[name] for name in always}
    asked["redundancy"] = int(float(str(values["redundancy"])))
    if values["precision"]:
        asked["precision"] = [values["precision"]]
    if values["max_gpus"]:
        asked["max_gpus"] = int(float(str(values["max_gpus"])))
    asked |= {name: values[name] for name in MONEY if values[name] and values[name] != fields()[name].default}
    if values["rate"]:
        asked["rate"] = f"{values['rate']:g}"
    by_demand = {
        "users": ("users", "requests_per_user"),
        "agents": ("agents", "adoption", "requests_per_day", "peak_hour"),
        "request_per_s": ("request_per_s",),
    }[str(values["demand"])]
    asked |= {name: values[name] for name in by_demand if values[name]}
    return asked
