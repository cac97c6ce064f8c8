"""The same verbs as tools of a language model (Model Context Protocol), over standard input and output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from infrascale.errors import InfraScaleError
from infrascale.parsing.plans import VERSION
from infrascale.server import simulated, verbs


def create() -> MCPServer:
    server = MCPServer(
        "infrascale",
        version=VERSION,
        instructions="How many GPUs does serving a language model need? plan proves the smallest number for a demand "
        "and a promise; capacity says what given GPUs serve; simulate puts a plan under traffic; predict judges "
        "measured rows; the catalogs name GPUs and models.",
    )

    @server.tool(description="The fewest GPUs that keep a promise of speed and wait, proven, and why.")
    def plan(question: verbs.Asked) -> dict[str, Any]:
        return _told(verbs.plan, question)

    @server.tool(description="What GPUs that are there can serve within a promise.")
    def capacity(question: verbs.AskedCapacity) -> dict[str, Any]:
        return _told(verbs.capacity, question)

    @server.tool(description="What users of the planned GPUs feel: percentiles under real traffic, request by request.")
    def simulate(question: simulated.AskedSimulation) -> dict[str, Any]:
        return _told(simulated.simulate, question)

    @server.tool(description="Time to first token, time per token and throughput of measured rows, from their inputs.")
    def predict(measurements: verbs.Rows) -> dict[str, Any]:
        return _told(verbs.predict, measurements)

    @server.tool(description="The catalog of kind gpus or models, or one entry of it with the source of every number.")
    def catalog(kind: str = "gpus", name: str | None = None) -> dict[str, Any]:
        if kind not in ("gpus", "models"):
            raise ToolError("kind is gpus or models")
        if name is None:
            return {"entries": verbs.entries(kind)}
        return _told(lambda wanted: verbs.entry(kind, wanted), name[:200])

    return server


def _told(verb: Callable[[Any], dict[str, Any]], asked: Any) -> dict[str, Any]:
    """The answer, or our error as the tool's."""
    try:
        return verb(asked)
    except InfraScaleError as error:
        raise ToolError(str(error)) from None
