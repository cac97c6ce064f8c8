"""`infrascale serve`."""

from __future__ import annotations

from typing import Annotated

import typer


def serve(
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 for every address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 8080,
    workers: Annotated[int, typer.Option(help="Processes, best one a core.", min=1, max=256)] = 1,
    mcp: Annotated[bool, typer.Option("--mcp", help="Speak MCP over standard input and output instead.")] = False,
) -> None:
    """The verbs as an HTTP API, or as tools for a language model (--mcp)."""
    from importlib.util import find_spec

    from infrascale.errors import ExportError

    needed = ("mcp",) if mcp else ("fastapi", "uvicorn")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        extra = "mcp" if mcp else "serve"
        raise ExportError(
            f"serving needs {' and '.join(missing)}", why="not installed", fix=f"pip install 'infrascale[{extra}]'"
        )
    if mcp:
        from infrascale.server.tools import create

        create().run("stdio")
        return
    import uvicorn

    uvicorn.run("infrascale.server.app:create", factory=True, host=host, port=port, workers=workers)
