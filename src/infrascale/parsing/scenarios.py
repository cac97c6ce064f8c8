"""A question in people's words (flags, scenario.toml) becomes a Scenario, or an error that names the mend.

Durations and speeds come in seconds and tokens/s; nothing here computes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale.deployment import kv_cache_dtypes, runs, shards
from infrascale.errors import FileError, ScenarioError
from infrascale.hardware import Gpu
from infrascale.model import Model
from infrascale.parsing.checked import text_of
from infrascale.parsing.gpus import gpu, offered
from infrascale.parsing.models import model
from infrascale.planning import REQUESTS_PER_USER_HOUR, Knobs, Objective, Promise, Scenario
from infrascale.planning.planner import MOST_GPUS_PER_REPLICA
from infrascale.precision import PRECISIONS, canonical
from infrascale.units import HOUR_S
from infrascale.workload import Demand, Population, Workload

MOST_BYTES = 16 * 2**20
Count = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
Tokens = Annotated[float, Field(ge=1, le=1e8, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


class Question(BaseModel):
    """Everything a person may ask; the keys of scenario.toml."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str
    gpu: Annotated[list[str], Field(min_length=1)] = ["h100-sxm"]
    precision: list[str] = []
    users: Count | None = None
    requests_per_user: Fraction | None = None
    requests_per_user_hour: Count | None = None
    think_s: Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)] | None = None
    request_per_s: Count | None = None
    agents: Count | None = None
    adoption: Fraction = 1.0
    requests_per_day: Count | None = None
    peak_hour: Fraction = 0.15
    tokens_per_s: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    tpot_s: Seconds | None = None
    speed_percentile: Literal[1, 5, 10, 50] | None = None
    ttft: Seconds = 2.0
    ttft_percentile: Literal[50, 90, 95, 99] | None = None
    isl: Tokens = 1000
    osl: Tokens = 400
    isl_cv: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    osl_cv: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    arrival_cv: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    prefix_hit: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    max_gpus: Annotated[int, Field(ge=1, le=10**9)] | None = None
    gpus_per_replica: list[Annotated[int, Field(ge=1, le=1024)]] = []
    gpus_per_server: Annotated[int, Field(ge=1, le=128)] | None = None
    redundancy: Annotated[int, Field(ge=0, le=1000)] = 0
    headroom: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.0
    max_num_seqs: Annotated[int, Field(ge=1, le=1 << 20)] | None = None
    max_num_batched_tokens: Annotated[int, Field(ge=16, le=1 << 24)] | None = None
    max_model_len: Annotated[int, Field(ge=1, le=1 << 30)] | None = None
    gpu_memory_utilization: Annotated[float, Field(ge=0.01, le=1, allow_inf_nan=False)] | None = None
    kv_cache_dtype: Literal["auto", "fp8", "bf16"] = "auto"
    engine: Literal["vllm", "sglang", "trtllm"] = "vllm"
    engine_version: str | None = None
    max_kw: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)] | None = None
    objective: Objective = Objective.GPUS
    price: Annotated[list[Annotated[str, Field(max_length=80)]], Field(max_length=64)] = []
    offer: Literal["rent", "reserved", "buy"] = "rent"
    currency: Annotated[str, Field(max_length=8)] | None = None
    rate: Annotated[str, Field(max_length=40)] | None = None
    country: Annotated[str, Field(max_length=40)] = "FRA"


LISTS = ("gpu", "precision", "gpus_per_replica", "price")
#: `p95=2s`, `p5=15`: a percentile and what is promised for it.
_PERCENTILE = re.compile(r"\s*p(\d{1,2})\s*=\s*([^\s=]+?)\s*(?:s|tokens/s)?\s*")


_PROMISED = {"ttft": "p95=2s (p50, p90, p95 or p99)", "tokens_per_s": "p5=15 (p50, p10, p5 or p1)"}


def _percentiles(values: dict[str, Any]) -> dict[str, Any]:
    """`ttft = "p95=2s"` as two keys; a plain number stays a promise of the mean."""
    found = dict(values)
    for key, percentile in (("ttft", "ttft_percentile"), ("tokens_per_s", "speed_percentile")):
        stated = _PERCENTILE.fullmatch(found[key]) if isinstance(found.get(key), str) else None
        if stated:
            found |= {key: stated[2], percentile: int(stated[1])}
    return found


def question(values: Mapping[str, Any]) -> Question:
    try:
        return Question.model_validate(_percentiles(_listed({k: v for k, v in values.items() if v is not None})))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(sorted(Question.model_fields))
        fix = f"known keys: {known}" if first["type"] == "extra_forbidden" else f"give {key} another value"
        if key in _PROMISED:
            fix = f"a number for the mean, or a percentile: {_PROMISED[key]}"
        given = str(first.get("input"))[:40]
        raise ScenarioError(f"{key} = {given} cannot be", why=first["msg"], fix=fix) from None


def traffic_table(path: str) -> dict[str, Any]:
    """The [traffic] of a scenario.toml; empty where it has none."""
    return _table(path, "traffic")


def usage_table(path: str) -> dict[str, Any]:
    """The evidence of a workload file, which `infrascale usage` wrote; empty where it has none."""
    return _table(path, "usage")


def _table(path: str, name: str) -> dict[str, Any]:
    found = _tables(_text(path), path).get(name, {})
    if not isinstance(found, dict):
        raise FileError(f"{name} in {path} is no table", why="it is a single value", fix=f"write [{name}] above it")
    return found


def read_toml(path: str) -> dict[str, Any]:
    """A scenario.toml as flat keys; an error in it names its line."""
    return toml_keys(_text(path), path)


def toml_keys(text: str, name: str) -> dict[str, Any]:
    """The flat keys of a scenario.toml or a workload file that is already in memory; errors call it `name`."""
    found = _tables(text, name)
    found.pop("usage", None)  # the evidence of a workload file: `infrascale usage` wrote it for people
    found.pop("traffic", None)  # for `infrascale simulate` and `plan --verify`: see `traffic_table`
    return _listed(found)


def _listed(values: Mapping[str, Any]) -> dict[str, Any]:
    """A list may be given as its one element."""
    single = {key: [values[key]] for key in LISTS if key in values and not isinstance(values[key], list | tuple)}
    return {**values, **single}


def _text(path: str) -> str:
    def broken(path: str, why: str) -> FileError:
        return FileError(f"{path} cannot be read", why=why, fix="give a TOML file in UTF-8")

    return text_of(path, MOST_BYTES, broken)


def _tables(text: str, name: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FileError(f"{name} is not TOML", why=str(error), fix="mend that line") from None


def scenario(asked: Question, *, needs_demand: bool = True, given: Model | None = None) -> Scenario:
    """The Scenario a Question means, its contradictions refused. `given`: the model itself, in place of its name."""
    found_model = given or model(asked.model)
    gpus = offered() if "any" in asked.gpu else tuple(dict.fromkeys(map(gpu, asked.gpu)))
    if asked.gpus_per_server:
        gpus = tuple(_in_servers_of(one, asked.gpus_per_server) for one in gpus)
    workload = Workload(
        isl_tokens=asked.isl,
        osl_tokens=asked.osl,
        prefix_hit_fraction=asked.prefix_hit,
        isl_cv=asked.isl_cv,
        osl_cv=asked.osl_cv,
    )
    longest = asked.max_model_len or found_model.max_model_len
    if longest > found_model.max_model_len:
        raise ScenarioError(
            f"max_model_len = {longest:,} is beyond {found_model.id}",
            why=f"its context ends at {found_model.max_model_len:,} tokens",
            fix=f"give at most {found_model.max_model_len}, or leave it out",
        )
    if workload.max_context_tokens > longest:
        raise ScenarioError(
            f"{workload.max_context_tokens:,.0f} tokens do not fit {found_model.id}",
            why=f"isl + osl exceeds its context of {longest:,} tokens",
            fix="shorten isl or osl, or choose a model with a longer context",
        )
    promise = _promise(asked)
    _cut_possible(asked, found_model, gpus)
    hourly = _hourly(asked, promise, workload)
    demand = _demand(asked, hourly, needs_demand)
    precisions = _precisions(asked, gpus)
    if asked.kv_cache_dtype == "fp8":
        gpus = _with_fp8_cache(gpus)
    return Scenario(
        model=found_model,
        gpus=gpus,
        demand=demand,
        workload=workload,
        promise=promise,
        precisions=precisions,
        knobs=Knobs(
            max_num_seqs=asked.max_num_seqs,
            max_num_batched_tokens=asked.max_num_batched_tokens,
            gpu_memory_utilization=asked.gpu_memory_utilization,
            max_model_len=asked.max_model_len,
            kv_cache_dtype=asked.kv_cache_dtype,
            engine=asked.engine,
            version=asked.engine_version,
        ),
        most_gpus=asked.max_gpus,
        most_kw=asked.max_kw,
        gpus_per_replica=tuple(asked.gpus_per_replica),
        redundancy=asked.redundancy,
        headroom_fraction=asked.headroom,
        users=asked.users,
        requests_per_user=asked.requests_per_user,
        requests_per_user_hour=hourly,
        habit_is_assumed=hourly is not None and asked.requests_per_user_hour is None,
        arrival_cv=asked.arrival_cv,
    )


def _in_servers_of(gpu: Gpu, gpus: int) -> Gpu:
    """The GPU in a server that holds another number of it than the catalog's: its fast link ends with the server."""
    return replace(gpu, gpus_per_server=gpus, link=replace(gpu.link, gpus=min(gpu.link.gpus, gpus)))


def _cut_possible(asked: Question, found: Model, gpus: tuple) -> None:
    """GPUs per replica must be a number that the model can be cut into, on one of the GPU kinds."""
    most = min(asked.max_gpus or MOST_GPUS_PER_REPLICA, MOST_GPUS_PER_REPLICA)
    legal = sorted({shard.gpus for one in gpus for shard in shards(found, one, most)})
    if asked.gpus_per_replica and not set(asked.gpus_per_replica) & set(legal):
        raise ScenarioError(
            f"{found.id} cannot be cut over {asked.gpus_per_replica} GPUs",
            why=f"its heads, layers and experts, the servers and the GPUs to buy allow {legal}",
            fix=f"one of {legal}",
        )


def _promise(asked: Question) -> Promise:
    if asked.tokens_per_s is not None and asked.tpot_s is not None:
        raise ScenarioError(
            "both a speed and a TPOT are given",
            why="one is the reciprocal of the other",
            fix="keep --tokens-per-s or --tpot",
        )
    speed = asked.tokens_per_s or (1 / asked.tpot_s if asked.tpot_s else 20.0)
    return Promise(
        token_per_s=speed,
        ttft_s=asked.ttft,
        speed_share=(100 - asked.speed_percentile) / 100 if asked.speed_percentile else None,
        ttft_share=asked.ttft_percentile / 100 if asked.ttft_percentile else None,
    )


def _demand(asked: Question, hourly: float | None, needed: bool) -> Demand:
    """The one demand given; where none is needed, that of one user."""
    given = [k for k in ("users", "request_per_s", "agents") if getattr(asked, k) is not None]
    if len(given) > 1:
        raise ScenarioError(
            f"{' and '.join(given)} contradict each other",
            why="each alone says how many requests there are",
            fix="keep one of users, request_per_s, agents",
        )
    if asked.request_per_s is not None:
        return Demand(request_per_s=asked.request_per_s)
    if asked.agents is not None:
        return Demand(request_per_s=_population(asked).request_per_s)
    if asked.users is None and needed:
        raise ScenarioError(
            "nobody asks anything",
            why="no demand is given",
            fix="add --users, --request-per-s or --agents",
        )
    users = asked.users or 1.0
    if hourly is not None:
        return Demand(request_per_s=users * hourly / HOUR_S)
    if asked.think_s is not None:
        return Demand(users=users, think_s=asked.think_s)
    return Demand(in_flight_requests=max(1.0, users * (asked.requests_per_user or 1.0)))


def _population(asked: Question) -> Population:
    assert asked.agents is not None
    if asked.requests_per_day is None:
        raise ScenarioError(
            "a population needs its habits",
            why="requests_per_day is missing",
            fix="add --requests-per-day",
        )
    return Population(
        agents=asked.agents,
        adoption_fraction=asked.adoption,
        requests_per_user_day=asked.requests_per_day,
        peak_hour_fraction=asked.peak_hour,
    )


def _hourly(asked: Question, promise: Promise, workload: Workload) -> float | None:
    """Requests an hour of one user, where that is how users are told; else our default: one at a time at most."""
    habits = [k for k in ("requests_per_user", "requests_per_user_hour", "think_s") if getattr(asked, k) is not None]
    if len(habits) > 1:
        raise ScenarioError(
            f"{' and '.join(habits)} contradict each other",
            why="each alone says how often a user asks",
            fix="keep one",
        )
    if asked.request_per_s is not None or asked.agents is not None:
        return None
    if habits:
        return asked.requests_per_user_hour
    return min(REQUESTS_PER_USER_HOUR, HOUR_S / (promise.ttft_s + workload.osl_tokens / promise.token_per_s))


def _precisions(asked: Question, gpus: tuple) -> tuple[str, ...]:
    found = []
    for name in asked.precision:
        precision = canonical(name)
        if precision is None:
            raise ScenarioError(
                f"unknown precision {name!r}",
                why="no kernel has this name",
                fix=f"one of {', '.join(PRECISIONS)}",
            )
        if not any(runs(precision, one) for one in gpus):
            raise ScenarioError(
                f"{precision} does not run on {', '.join(one.id for one in gpus)[:80]}",
                why="neither the chip nor vLLM has a kernel for it",
                fix=f"one of {', '.join(p for p in PRECISIONS if any(runs(p, one) for one in gpus))}",
            )
        found.append(precision)
    return tuple(dict.fromkeys(found))


def _with_fp8_cache(gpus: tuple) -> tuple:
    able = tuple(one for one in gpus if "fp8" in kv_cache_dtypes(one))
    if not able:
        raise ScenarioError(
            f"no fp8 KV cache on {', '.join(one.id for one in gpus)[:80]}",
            why="the chip has no fp8 arithmetic",
            fix="use --kv-cache-dtype auto",
        )
    return able
