"""HiGHS, found and made quiet: it greets on the C library's standard output before it can be told not to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infrascale.errors import ScenarioError


@contextmanager
def silent() -> Iterator[None]:
    """Nothing reaches standard output, whoever writes to it: a greeting would spoil JSON."""
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def quiet_solver() -> tuple[Any, Any]:
    """A solver of one thread and its module; a ScenarioError where HiGHS is not installed."""
    try:
        import highspy
    except ImportError:
        raise ScenarioError(
            "a fleet needs HiGHS", why="it is not installed", fix="pip install 'infrascale[fleet]'"
        ) from None
    with silent():
        solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    return solver, highspy
