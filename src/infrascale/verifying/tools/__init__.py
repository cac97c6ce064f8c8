"""The commands of each load-test tool for a design, one module a tool: `PROGRAM`, `run(Target, Probe)`, a command that
leaves a `RESULT`, and perhaps `more(Target, probes)`, further files.

In: where the server is, what it serves, the points.    Out: files by name; `NAME.sh` runs them all, one result a point.
Every script takes BASE_URL and RESULTS from the environment, and stops at the first failure.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from infrascale.errors import ScenarioError
from infrascale.verifying.design import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """`url` without /v1; `model` as the server calls it; `metadata`: what the deployment is, for whoever reads results.

    `serve`: the planned server's own command, for tools that start it, on this `port` of their own machine.
    """

    url: str
    model: str
    tokenizer: str
    metadata: Mapping[str, str]
    shared_tokens: int = 0
    serve: str | None = None
    port: int = 8000

    def script(self, commands: Sequence[str]) -> str:
        lines = [
            "#!/usr/bin/env bash",
            "set -euo pipefail",
            'cd "$(dirname "$0")"',
            f"BASE_URL=${{BASE_URL:-{shlex.quote(self.url)}}}",
            ': "${RESULTS:=results}"',
            'mkdir -p "$RESULTS"',
            *commands,
        ]
        return "\n".join(lines) + "\n"


@cache
def tools() -> Mapping[str, ModuleType]:
    """Every tool by name: the modules of this package that know a command."""
    modules = {found.name: import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)}
    return {name: module for name, module in sorted(modules.items()) if hasattr(module, "run")}


def tool(name: str) -> ModuleType:
    if name not in tools():
        raise ScenarioError(f"no tool {name[:30]!r}", why="it is not known here", fix=f"one of {', '.join(tools())}")
    return tools()[name]


def files_of(name: str, target: Target, probes: Sequence[Probe]) -> dict[str, str]:
    """A tool's files for these points."""
    found = tool(name)
    more = found.more(target, probes) if hasattr(found, "more") else {}
    return {f"{name}.sh": target.script([found.run(target, probe) for probe in probes])} | more


def joined(words: Sequence[str]) -> str:
    """A command over several lines. The words are ours or quoted already."""
    return " \\\n  ".join(words)
