"""Deployments of a plan: files that start exactly what was planned.

In: Plan, its question.    Out: files by name, each in the target's own format, validated in the tests.
One target is one module here with a `render(serving) -> {file name: text}`; nothing else lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from infrascale.errors import ExportError
from infrascale.exports.serving import Options, Serving, serving

__all__ = ["Options", "Serving", "render", "serving", "targets"]

Render = Callable[[Serving], dict[str, str]]


@cache
def targets() -> Mapping[str, Render]:
    """Every target by name: the modules of this package that render."""
    modules = {found.name: import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)}
    return {name: module.render for name, module in sorted(modules.items()) if hasattr(module, "render")}


def render(target: str, wanted: Serving) -> dict[str, str]:
    """The files of one target."""
    if target not in targets():
        raise ExportError(
            f"no target {target[:40]!r}", why="nothing here writes its files", fix=f"one of {', '.join(targets())}"
        )
    return targets()[target](wanted)
