"""What a stranger may ask, and the answers, as JSON.

In: pydantic values with bounded lengths and counts.    Out: the dictionaries that `--json` prints.
A stranger's words never name a file or reach a network: a model is a catalog name or the config.json itself.
Work per request is bounded by the GPU kinds, formats and rows that one may hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt

from infrascale import catalog
from infrascale.api import curves
from infrascale.calibration.own import Calibration
from infrascale.calibration.planned import intervals_of, rest_of
from infrascale.calibration.saved import parsed
from infrascale.catalog import spelling
from infrascale.certainty import beyond
from infrascale.errors import CatalogError, ModelError, ScenarioError
from infrascale.model import Model
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.huggingface import parse_config
from infrascale.parsing.models import known
from infrascale.parsing.objectives import preferred
from infrascale.parsing.plans import provenance
from infrascale.parsing.scenarios import Question, scenario
from infrascale.planning import capacity as _capacity
from infrascale.planning import plan as _plan
from infrascale.predicting import predict_row
from infrascale.screen import beyond_json, capacity_ways, plan_json, rest_json

MOST_KINDS = 8
MOST_WAYS = 8
MOST_ROWS = 100
MOST_BODY_BYTES = 256 * 1024
MOST_GPUS = 10**6
#: The name of a model that came as a config.json.
OWN = "own-model"

Name = Annotated[str, Field(min_length=1, max_length=200)]
#: The text of a file that `infrascale calibrate` wrote, and what a saved plan calls it.
Taught = Annotated[str, Field(min_length=1, max_length=20_000)]
TAUGHT = "calibration.toml"
Config = Annotated[dict[str, Any], Field(min_length=1, max_length=500)]
Cell = Annotated[str, Field(max_length=1000)] | StrictInt | StrictFloat | None


class Asked(Question):
    """A question with bounds: the keys of scenario.toml, the model by its catalog name or as its config.json."""

    model: Name | Config  # type: ignore[assignment]
    gpu: list[Name] = Field(default=["h100-sxm"], min_length=1, max_length=MOST_KINDS)
    precision: list[Name] = Field(default=[], max_length=4)
    gpus_per_replica: list[Annotated[int, Field(ge=1, le=1024)]] = Field(default=[], max_length=16)
    engine_version: Annotated[str, Field(max_length=40)] | None = None
    calibration: Taught | None = None


class AskedCapacity(Asked):
    """The same for GPUs that are there: `gpus` of each kind in turn."""

    gpus: Annotated[int, Field(ge=1, le=MOST_GPUS)]


class Rows(BaseModel):
    """Measurement rows, as columns of the common schema (see the README)."""

    model_config = ConfigDict(extra="forbid")

    rows: Annotated[list[Annotated[dict[str, Cell], Field(max_length=60)]], Field(min_length=1, max_length=MOST_ROWS)]
    calibration: Taught | None = None


def plan(asked: Asked) -> dict[str, Any]:
    """The fewest GPUs that keep the promise, as `infrascale plan --json`: saved, it is a plan file.

    One that rests on a calibration is read again beside that file, saved as calibration.toml.
    """
    held, model = resolved(asked)
    question, own = scenario(held, given=model), taught(asked.calibration)
    law = curves(own, question)
    found = preferred(_plan(question, law), held, law)
    config = asked.model if isinstance(asked.model, dict) else None
    told = plan_json(found) | provenance(held, "exact", config)
    if own is None:
        return told
    rests = {"calibration": TAUGHT, "command": f"{told['command']} --calibration {TAUGHT}"}
    return told | rest_json(rest_of(own, question, found.best)) | rests


def taught(text: str | None) -> Calibration | None:
    return None if text is None else parsed("the calibration", text)


def capacity(asked: AskedCapacity) -> dict[str, Any]:
    """What these GPUs serve within the promise, as `infrascale capacity --json`."""
    held, model = resolved(asked)
    question = scenario(held, needs_demand=False, given=model)
    own = taught(asked.calibration)
    law = curves(own, question)
    found = _capacity(question, law, asked.gpus)
    ways = capacity_ways(question, found)
    sure = intervals_of(own, question, found[0][0], efficiency()) if own and found else None
    around = beyond(question, *found[0], asked.gpus, law, sure) if found else None
    rests = rest_of(own, question, found[0][0] if found else None) if own else None
    return {"gpus": asked.gpus, "feasible": bool(found), **beyond_json(around), **rest_json(rests), "ways": ways}


def predict(asked: Rows) -> dict[str, Any]:
    """The rows with the columns that `infrascale predict` adds."""
    own = taught(asked.calibration)
    return {"rows": [{**row, **_predicted(row, own)} for row in asked.rows]}


def entries(kind: str) -> list[dict[str, Any]]:
    """The catalog of gpus or models, in short."""
    keys = {"gpus": ("name", "vendor", "hbm_bytes", "hbm_bytes_per_s", "power_w"), "models": ("id", "params")}[kind]
    return [{"key": stem, **{k: entry[k] for k in keys}} for stem, entry in catalog.entries(kind).items()]


def entry(kind: str, name: str) -> dict[str, Any]:
    """One entry with its sources."""
    stem, found = catalog.find(kind, name)
    return {"key": stem, **found}


def resolved(asked: Asked) -> tuple[Question, Model]:
    """The question with names made the catalog's own, and its model; refused where it asks for too much at once."""
    if len(asked.gpu) * max(1, len(asked.precision)) > MOST_WAYS:
        raise ScenarioError(
            "too much is asked at once",
            why=f"gpu and precision together name more than {MOST_WAYS} ways",
            fix="ask in parts",
        )
    if isinstance(asked.model, dict):
        try:
            model, name = parse_config(asked.model, id=OWN), OWN
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ModelError(
                "this config.json cannot be understood", why=str(error)[:200], fix="send it as it is published"
            ) from None
    else:
        model = _known(asked.model)
        name = model.id
    if "any" in asked.gpu:
        raise CatalogError("'any' is not served", why="it would plan for every GPU there is", fix="name up to 8 kinds")
    gpus = [catalog.find("gpus", gpu)[0] for gpu in asked.gpu]
    return asked.model_copy(update={"model": name, "gpu": gpus, "calibration": None}), model


@lru_cache(maxsize=1024)
def _known(name: str) -> Model:
    return known(name)


def _predicted(row: Mapping[str, Cell], own: Calibration | None) -> dict[str, str]:
    """One row's prediction. Its model and GPU are named by the catalog's keys, which are no paths and on no hub."""
    cells = {key: "" if value is None else str(value) for key, value in row.items()}
    name = cells.get("model", "")
    try:
        stem, _ = catalog.find("models", name)
        card, _ = catalog.find("gpus", cells.get("gpu", ""))
    except CatalogError as error:
        return {"status": "unsupported", "reason": f"{error.what}: {error.why}"}
    tail = spelling(name.split("/")[-1])  # keeps which variant was meant
    try:
        same = catalog.find("models", tail)[0] == stem
    except CatalogError:
        same = False
    return predict_row(cells | {"model": tail if same else stem, "gpu": card}, own)
