"""`infrascale app`."""

from __future__ import annotations

from typing import Annotated

import typer


def app(
    port: Annotated[int, typer.Option(help="Where to listen.", min=1, max=65535)] = 8501,
    address: Annotated[str, typer.Option(help="127.0.0.1: this machine only.")] = "127.0.0.1",
    headless: Annotated[bool, typer.Option("--headless", help="Open no browser.")] = False,
) -> None:
    """The web app, in a browser: nothing leaves this machine."""
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    from infrascale.errors import ScenarioError

    if find_spec("streamlit") is None:
        raise ScenarioError("the app needs Streamlit", why="it is not installed", fix="pip install 'infrascale[app]'")
    from streamlit.web import cli

    import infrascale.app

    script = Path(infrascale.app.__file__).with_name("run.py")
    flags = {
        "server.port": port, "server.address": address, "server.headless": str(headless).lower(),
        "browser.gatherUsageStats": "false", "server.maxUploadSize": 20, "client.toolbarMode": "viewer",
        "theme.light.primaryColor": "#0072B2",
        "theme.dark.primaryColor": "#0072B2",
    }  # fmt: skip
    sys.argv = ["streamlit", "run", str(script), *(f"--{name}={value}" for name, value in flags.items())]
    raise SystemExit(cli.main())
