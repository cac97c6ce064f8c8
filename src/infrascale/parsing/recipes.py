"""Engine settings of published benchmarks, which their scripts tell and their rows do not.

In: a measurement row and the deployment it names.    Out: the engine as that benchmark set it up.
Facts are in catalog/data/recipes.toml, each with its file; a row of no known family keeps the engine's defaults.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from infrascale import catalog
from infrascale.deployment import Deployment, Engine

Recipe = Mapping[str, Any]


@cache
def _recipes() -> tuple[Recipe, ...]:
    return tuple(tomllib.loads((catalog.DATA / "recipes.toml").read_text(encoding="utf-8"))["recipes"])


def as_set_up(deployment: Deployment, notes: str, lengths: tuple[float, float], clients: float | None) -> Engine:
    """The engine under every recipe that fits, in their order; `lengths` as the row states them."""
    engine = deployment.engine
    for recipe in _recipes():
        if _fits(recipe, deployment, notes, lengths, clients or 0.0):
            engine = replace(engine, **recipe["set"])
            if recipe.get("beside_clients"):
                room = int((clients or 0.0) + lengths[0]) + 64
                engine = replace(engine, max_num_batched_tokens=max(engine.max_num_batched_tokens, room))
    return engine


def _fits(recipe: Recipe, deployment: Deployment, notes: str, lengths: tuple[float, float], clients: float) -> bool:
    model = deployment.model.id.lower()
    return (
        f"family={recipe['family']}" in notes
        and "DISAGG" not in notes  # pools are set up by other scripts
        and recipe["engine"] == deployment.engine.name
        and any(name in model for name in recipe.get("models", [model]))
        and deployment.gpu.architecture in recipe.get("architectures", [deployment.gpu.architecture])
        and deployment.quantization.precision == recipe.get("precision", deployment.quantization.precision)
        and list(lengths) == recipe.get("lengths", list(lengths))
        and clients >= recipe.get("clients_from", 0)
        and deployment.shard.tp <= recipe.get("tp_until", deployment.shard.tp)
        and not (recipe.get("thousands") and lengths[0] % 1000)
    )
