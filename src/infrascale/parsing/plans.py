"""A saved plan (`infrascale plan … --json > plan.json`) becomes a Plan again, or an error that says why it cannot.

The file keeps the question, so the plan is made anew rather than believed: what is exported or reported is what this
version proves. Where its answer is no longer the saved one, that is an error, never a silent change.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from infrascale.errors import FileError
from infrascale.hardware import Efficiency
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.huggingface import parse_config
from infrascale.parsing.models import local_config
from infrascale.parsing.objectives import preferred
from infrascale.parsing.scenarios import Question, question, scenario
from infrascale.planning import Candidate, Plan, Scenario, plan
from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import raised

MOST_BYTES = 16 * 2**20
VERSION = version("infrascale")


class Best(BaseModel):
    """What of the saved answer must come out again: what is bought and how it is started."""

    model_config = ConfigDict(extra="ignore")

    gpu: str
    gpus: int
    gpus_per_replica: int
    replicas: int
    spare_replicas: int
    max_batch: int
    tp: int
    pp: int
    dp: int
    ep: int
    precision: str


class Saved(BaseModel):
    """The keys of a plan file that are read; the others are for people and other programs."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    infrascale_version: str
    question: dict[str, Any]
    solver: Literal["exact", "nelder-mead", "simulated"]
    model_config_json: dict[str, Any] | None = None
    model: str
    calibration: str | None = None
    best: Best | None


def asked_as(keys: Mapping[str, Any], solver: str, calibration: str | None = None) -> dict[str, Any]:
    """What a plan file adds to the answer, for the keys that a person gave."""
    asked = question(keys)
    config = local_config(asked.model)
    return provenance(asked, solver, config[1] if config else None, calibration)


def provenance(
    asked: Question, solver: str, config: Mapping[str, Any] | None = None, calibration: str | None = None
) -> dict[str, Any]:
    """The version, the whole question, its command; the config.json of a model of one's own; the file of load tests."""
    found: dict[str, Any] = {
        "infrascale_version": VERSION,
        "question": asked.model_dump(exclude_none=True),
        "command": command(asked, solver),
    }
    if calibration is not None:
        found |= {
            "calibration": calibration,
            "command": f"{found['command']} --calibration {shlex.quote(calibration)}",
        }
    return found | ({"model_config_json": config} if config else {})


def command(asked: Question, solver: str = "exact", calibration: str | None = None) -> str:
    """The command line that asks this question: the keys that differ from their defaults."""
    more = {"exact": [], "simulated": ["--verify"]}.get(solver, ["--solver", solver])
    more += ["--calibration", calibration] if calibration else []
    return shlex.join(["infrascale", "plan", *_flags(asked), *more])


def capacity_command(gpus: int, asked: Question) -> str:
    """The command line that asks what so many GPUs serve."""
    return shlex.join(["infrascale", "capacity", "--gpus", str(gpus), *_flags(asked)])


def _flags(asked: Question) -> list[str]:
    words = []
    for key, value in spelled(asked).items():
        flag = "--tpot" if key == "tpot_s" else f"--{key.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            words += [flag, str(int(one)) if isinstance(one, float) and one.is_integer() else str(one)]
    return words


def spelled(asked: Question) -> dict[str, Any]:
    """The keys that differ from their defaults, as a person writes them: a percentile stands before its promise."""
    found = asked.model_dump(exclude_defaults=True)
    for key, percentile in (("ttft", "ttft_percentile"), ("tokens_per_s", "speed_percentile")):
        if (share := found.pop(percentile, None)) is not None:
            found[key] = f"p{share}={getattr(asked, key):g}"
    return found


Curves = Callable[[str | None, Scenario], Efficiency]


def read_plan(path: str, curves: Curves | None = None) -> tuple[Plan, Question]:
    """The Plan that a file holds, proven again, and its question.

    `curves` reads the calibration that it may rest on.
    """
    saved = _saved(path)
    asked = question(saved.question)
    given = None
    if saved.model_config_json is not None:
        given = parse_config(saved.model_config_json, id=saved.model)
    elif local_config(asked.model, must_exist=False):
        raise _broken(path, "it names a local model and holds no config of it")
    held = scenario(asked, given=given)
    if saved.calibration and curves is None:
        raise FileError(
            f"{path} rests on {saved.calibration}", why="this verb knows the general model only", fix="plan without it"
        )
    law = curves(saved.calibration, held) if curves else efficiency()
    simulated = saved.solver == "simulated"
    found = preferred(plan(held, law, "exact" if simulated else saved.solver), asked, law)
    if simulated and saved.best is not None:
        found = _as_verified(found, saved.best, law)
    again = best_of(found)
    if again != saved.best:
        raise FileError(
            f"{path} no longer holds",
            why=f"version {saved.infrascale_version} wrote {_short(saved.best)}, {VERSION} finds {_short(again)}",
            fix=f"ask again: {command(asked, saved.solver)} --json > plan.json",
        )
    return found, asked


def _as_verified(found: Plan, saved: Best, law: Efficiency) -> Plan:
    """The plan with the replicas that a simulation asked of one of its ways; those it does not prove, it takes over."""
    for planned in (found.best, *found.others):
        if planned is None or planned.replicas > saved.replicas:
            continue
        judge = Judge(scenario=found.scenario, deployment=planned.deployment, efficiency=law)
        more = raised(judge, planned, saved.replicas)
        if isinstance(more, Candidate) and best_of(replace(found, best=more)) == saved:
            others = tuple(way for way in (found.best, *found.others) if way is not planned and way is not None)
            return replace(found, solver="simulated", best=more, others=others)
    return found


def calibration_of(path: str) -> str | None:
    """The calibration that a saved plan rests on."""
    return _saved(path).calibration


def best_of(found: Plan) -> Best | None:
    best = found.best
    if best is None:
        return None
    deployment, shard = best.deployment, best.deployment.shard
    return Best(
        gpu=deployment.gpu.id,
        gpus=best.gpus,
        gpus_per_replica=best.gpus_per_replica,
        replicas=best.replicas,
        spare_replicas=best.spare_replicas,
        max_batch=best.max_batch,
        tp=shard.tp,
        pp=shard.pp,
        dp=shard.dp,
        ep=shard.ep,
        precision=deployment.quantization.precision,
    )


def _short(best: Best | None) -> str:
    if best is None:
        return "no feasible plan"
    spare = f" + {best.spare_replicas} spare" if best.spare_replicas else ""
    return (
        f"{best.gpus} × {best.gpu} ({best.replicas}{spare} × TP {best.tp} PP {best.pp}, batch {best.max_batch}, "
        f"{best.precision})"
    )


def _saved(path: str) -> Saved:
    try:
        if Path(path).stat().st_size > MOST_BYTES:
            raise _broken(path, f"it is larger than {MOST_BYTES >> 20} MiB")
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise FileError(
            f"{path} cannot be read", why=why, fix="infrascale plan … --json > plan.json, then name that file"
        ) from None
    try:
        found = json.loads(text)
        if isinstance(found, dict) and "ways" in found and "question" not in found:
            raise FileError(
                f"{path} is a capacity, not a plan", why="it says what GPUs serve, not which to take",
                fix="of servers you own: name them in a fleet.toml, then infrascale report fleet.toml",
            )  # fmt: skip
        return Saved.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise _broken(path, f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise _broken(path, str(error)[:200]) from None


def _broken(path: str, why: str) -> FileError:
    return FileError(f"{path} is not a plan", why=why, fix="infrascale plan … --json > plan.json, then name that file")
