"""The state of the app is its URL: each field one parameter, left out where it has its default.

In: query parameters, as strangers write them; files that a person drops.    Out: values that widgets accept,
parameters again, and the keys of a scenario.toml.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Any

from infrascale import catalog
from infrascale.errors import FileError
from infrascale.exports import targets
from infrascale.locales import languages
from infrascale.parsing import models
from infrascale.parsing.prices import OFFERS, countries
from infrascale.parsing.scenarios import Question
from infrascale.parsing.usecases import use_cases
from infrascale.planning import Objective
from infrascale.precision import PRECISIONS
from infrascale.report import FORMATS
from infrascale.workload import grown

Value = str | float | list[str]
#: A config.json in the URL: most characters there, most bytes once unpacked. Larger ones are not whole configs.
MOST_PACKED, MOST_CONFIG = 8_000, 262_144
MOST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One parameter: its default, the choices of a choice, the ends of a number."""

    default: Value
    choices: tuple[str, ...] = ()
    least: float = 0.0
    most: float = 0.0
    whole: bool = False
    most_text: int = MOST_TEXT

    def fits(self, number: float) -> bool:
        return isfinite(number) and self.least <= number <= self.most and (not self.whole or number == int(number))

    def understood(self, raw: Sequence[str]) -> Value | None:
        """The parameter as a value; None where it makes no sense, since a URL may come from anywhere."""
        if isinstance(self.default, list):
            found = [word[:MOST_TEXT] for word in raw[:8]]
            return found if found and (not self.choices or set(found) <= set(self.choices)) else None
        if len(raw) != 1:
            return None
        word = raw[0]
        if isinstance(self.default, float):
            try:
                return float(word) if self.fits(float(word)) else None
            except ValueError:
                return None
        return word if len(word) <= self.most_text and (not self.choices or word in self.choices) else None


def _number(default: float, least: float, most: float, *, whole: bool = False) -> Field:
    return Field(default=default, least=float(least), most=float(most), whole=whole)


SCREENS = ("need", "hardware", "answer", "simulation", "cost", "calibrate", "deploy", "compare")
#: What a question says of money and place.
MONEY = ("offer", "currency", "objective", "country", "peak_hour")
DEMANDS = ("users", "agents", "request_per_s")
#: What a user does is told by the first of these that is not 0.
HABITS = ("think_s", "requests_per_user", "requests_per_user_hour")
#: A promise in the mean, or for a share of the requests: the percentile that `ttft_percentile` takes.
TTFT_AT = ("mean", "50", "90", "95", "99")
#: The slowest requests that the promise still holds for: 5 is 95 % of them.
SPEED_AT = ("mean", "50", "10", "5", "1")
ENGINES = ("vllm", "sglang", "trtllm")
#: Engine knobs where 0 leaves the engine's own default.
KNOBS = ("gpus_per_server", "max_num_seqs", "max_num_batched_tokens", "max_model_len", "gpu_memory_utilization")


@cache
def fields() -> dict[str, Field]:
    gpus = tuple(catalog.entries("gpus"))
    return {
        "lang": Field(default="en", choices=tuple(languages())),
        "goal": Field(default="need", choices=("need", "have")),
        "screen": Field(default="need", choices=SCREENS),
        "demand": Field(default="users", choices=DEMANDS),
        "users": _number(1000.0, 1, 1e9),
        "requests_per_user": _number(0.0, 0, 1),
        "requests_per_user_hour": _number(0.0, 0, 1e6),
        "think_s": _number(0.0, 0, 1e6),
        "agents": _number(2_500_000.0, 1, 1e10),
        "adoption": _number(0.2, 0.0001, 1),
        "requests_per_day": _number(10.0, 0.001, 1e5),
        "peak_hour": _number(0.15, 0.0417, 1),
        "request_per_s": _number(10.0, 0.001, 1e6),
        "growth": _number(0.0, -0.9, 10),
        "years": _number(0.0, 0, 20),
        "case": Field(default="", choices=("", *use_cases())),
        "isl": _number(1000.0, 1, 1e6),
        "osl": _number(400.0, 1, 1e6),
        "isl_cv": _number(0.0, 0, 10),
        "osl_cv": _number(0.0, 0, 10),
        "arrival_cv": _number(1.0, 0, 10),
        "prefix_hit": _number(0.0, 0, 1),
        "tokens_per_s": _number(20.0, 0.1, 1000),
        "speed_at": Field(default="mean", choices=SPEED_AT),
        "ttft": _number(2.0, 0.01, 600),
        "ttft_at": Field(default="mean", choices=TTFT_AT),
        "headroom": _number(0.0, 0, 10),
        "redundancy": _number(0.0, 0, 100, whole=True),
        "model": Field(default="mistralai/Mistral-Small-3.1-24B-Instruct-2503"),
        "config": Field(default="", most_text=MOST_PACKED),
        "precision": Field(default=[], choices=tuple(PRECISIONS)),
        "gpu": Field(default=["h100-sxm"], choices=gpus),
        "kv_cache_dtype": Field(default="auto", choices=("auto", "fp8", "bf16")),
        "max_gpus": _number(0.0, 0, 1e7, whole=True),
        "max_kw": _number(0.0, 0, 1e6),
        "gpus_per_server": _number(0.0, 0, 128, whole=True),
        "gpus_per_replica": _number(0.0, 0, 1024, whole=True),
        "engine": Field(default="vllm", choices=ENGINES),
        "engine_version": Field(default="", most_text=20),
        "max_num_seqs": _number(0.0, 0, 1 << 20, whole=True),
        "max_num_batched_tokens": _number(0.0, 0, 1 << 24, whole=True),
        "max_model_len": _number(0.0, 0, 1 << 30, whole=True),
        "gpu_memory_utilization": _number(0.0, 0, 1),
        "owned": _number(24.0, 1, 1e7, whole=True),
        "calibrated": Field(default="", choices=("yes",)),
        "target": Field(default="compose", choices=tuple(targets())),
        "format": Field(default="pdf", choices=FORMATS),
        "a": Field(default="", most_text=2 * MOST_PACKED),
        "b": Field(default="", most_text=2 * MOST_PACKED),
        "film": Field(default="day", choices=("day", "loss")),
        "traffic": _number(1.0, 0.05, 3),
        "down_min": _number(10.0, 1, 60),
        "offer": Field(default="rent", choices=tuple(OFFERS)),
        "currency": Field(default="", choices=("", "EUR", "USD")),
        "rate": _number(0.0, 0, 5),
        "objective": Field(default="gpus", choices=tuple(one.value for one in Objective)),
        "country": Field(default="FRA", choices=tuple(countries())),
        "price": Field(default=[]),
    }


def read(parameters: Mapping[str, Sequence[str]]) -> dict[str, Value]:
    """Every field, from the parameters or its default."""
    values = {name: field.understood(parameters.get(name, ())) for name, field in fields().items()}
    return {name: fields()[name].default if value is None else value for name, value in values.items()}


def ignored(parameters: Mapping[str, Sequence[str]]) -> list[str]:
    """Parameters that were given and not understood: their defaults stand in, and the page says so."""
    return [name for name, raw in parameters.items() if name in fields() and fields()[name].understood(raw) is None]


def written(values: Mapping[str, Value]) -> dict[str, str | list[str]]:
    """The parameters that differ from their defaults."""
    found: dict[str, str | list[str]] = {}
    for name, field in fields().items():
        value = values.get(name, field.default)
        if value != field.default:
            found[name] = value if isinstance(value, list) else f"{value:.15g}" if isinstance(value, float) else value
    return found


def question(values: Mapping[str, Value]) -> dict[str, Any]:
    """The keys of scenario.toml that these values ask."""
    always = (
        "gpu", "precision", "isl", "osl", "isl_cv", "osl_cv", "arrival_cv", "prefix_hit", "tokens_per_s", "ttft",
        "kv_cache_dtype", "headroom", "engine",
    )  # fmt: skip
    asked: dict[str, Any] = {name: values[name] for name in always}
    asked |= {"model": model_of(values), "redundancy": _whole(values["redundancy"])}
    asked |= {key: _whole(values[key]) for key in ("max_gpus", *KNOBS[:-1]) if values[key]}
    if values["gpu_memory_utilization"]:
        asked["gpu_memory_utilization"] = values["gpu_memory_utilization"]
    if values["max_kw"]:
        asked["max_kw"] = values["max_kw"]
    if values["gpus_per_replica"]:
        asked["gpus_per_replica"] = [_whole(values["gpus_per_replica"])]
    if values["engine_version"]:
        asked["engine_version"] = values["engine_version"]
    for key, at in (("ttft_percentile", "ttft_at"), ("speed_percentile", "speed_at")):
        if values[at] != "mean":
            asked[key] = _whole(values[at])
    asked |= {name: values[name] for name in (*MONEY, "price") if values[name] != fields()[name].default}
    if values["rate"]:
        asked["rate"] = f"{values['rate']:g}"
    return asked | _demand(values)


def _demand(values: Mapping[str, Value]) -> dict[str, Any]:
    """The demand in the form chosen, in the year asked for."""
    key = str(values["demand"])
    asked: dict[str, Any] = {key: grown(_real(values[key]), _real(values["growth"]), _real(values["years"]))}
    if key == "agents":
        asked |= {name: values[name] for name in ("adoption", "requests_per_day", "peak_hour")}
    elif key == "users" and (habit := next((one for one in HABITS if values[one]), None)):
        asked[habit] = values[habit]
    return asked


def values_of(keys: Mapping[str, Any]) -> dict[str, Value]:
    """The fields that keys of elsewhere (a workload file, a change that helps) mean."""
    own = {key: value for key, value in keys.items() if value is not None}
    found: dict[str, Value] = {
        at: str(own.pop(key, "mean"))
        for key, at in (("ttft_percentile", "ttft_at"), ("speed_percentile", "speed_at"))
        if key in keys
    }
    if own.get("gpus_per_replica"):
        found["gpus_per_replica"] = float(own.pop("gpus_per_replica")[0])
    if own.get("tpot_s"):
        found["tokens_per_s"] = 1 / own.pop("tpot_s")
    demand = next((key for key in DEMANDS if own.get(key) is not None), None)
    if demand:
        found |= {"demand": demand, "growth": 0.0, "years": 0.0, **dict.fromkeys(HABITS, 0.0)}
    for key, value in own.items():
        if key in fields() and value is not None:
            found[key] = value if isinstance(value, str | list) else float(value)
    if "model" in found:
        found["config"] = ""
    return found


def pack(config: Mapping[str, Any], name: str) -> str:
    """A config.json as one parameter of the URL, so that a colleague sees the same plan."""
    text = json.dumps([re.sub(r"[^\w.-]", "-", name)[:60] or "model", config], separators=(",", ":"))
    packed = base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode()
    if len(packed) > MOST_PACKED:
        raise FileError(
            "this config.json is too long", why=f"packed it exceeds {MOST_PACKED:,} characters",
            fix="drop what is no config of a model from it",
        )  # fmt: skip
    return packed


def model_of(values: Mapping[str, Value]) -> str:
    """The model asked: a name, or that of the config.json that the URL holds."""
    own = config_of(values)
    return models.given(own[1], own[0]) if own else models.public(str(values["model"]))


def config_of(values: Mapping[str, Value]) -> tuple[str, dict[str, Any]] | None:
    """Name and content of the config.json that the URL holds, read in memory and never executed."""
    packed = str(values["config"])
    if not packed:
        return None
    try:
        unpacked = zlib.decompressobj().decompress(base64.urlsafe_b64decode(packed), MOST_CONFIG)
        name, config = json.loads(unpacked)
        if not (isinstance(name, str) and isinstance(config, dict)):
            raise ValueError("it is no object")
    except (ValueError, zlib.error, RecursionError) as error:
        raise FileError(
            "the config.json in this address is broken", why=str(error)[:100], fix="drop the file again"
        ) from None
    return re.sub(r"[^\w.-]", "-", name)[:60], config


def as_file(values: Mapping[str, Value], asked: Question) -> Question:
    """The question as a command line asks it: a config.json that the URL holds is a file there."""
    return asked.model_copy(update={"model": "config.json"}) if values["config"] else asked


def dropped(content: bytes) -> dict[str, Any]:
    """A config.json that a person dropped, as an object."""
    if len(content) > MOST_CONFIG:
        raise FileError("this is no config.json", why=f"it exceeds {MOST_CONFIG >> 10} KiB", fix="drop config.json")
    try:
        found = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FileError("this is not JSON", why=str(error)[:100], fix="drop a model's config.json") from None
    if not isinstance(found, dict):
        raise FileError("this is no config.json", why="it holds no object", fix="drop a model's config.json")
    return found


def _whole(value: Value) -> int:
    return int(_real(value))


def _real(value: Value) -> float:
    return float(str(value))
