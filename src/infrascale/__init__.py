"""InfraScale: how many GPUs does serving a language model need?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["InfraScaleError", "Plan", "Scenario", "ask", "capacity", "plan"]

if TYPE_CHECKING:
    from infrascale.api import ask, capacity, plan
    from infrascale.errors import InfraScaleError
    from infrascale.planning import Plan, Scenario


def __getattr__(name: str) -> Any:
    """Names are imported when first used, so that importing the package costs nothing."""
    from importlib import import_module

    room = {"InfraScaleError": "errors", "Plan": "planning.plan", "Scenario": "planning.scenario"}
    if name not in __all__:
        raise AttributeError(f"module 'infrascale' has no attribute {name!r}")
    return getattr(import_module(f"infrascale.{room.get(name, 'api')}"), name)
