"""How an error of ours leaves a verb."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def errors_as(as_json: bool) -> Iterator[None]:
    """An error of ours goes on to the screen; machines that asked for JSON find it there."""
    from infrascale.errors import InfraScaleError

    try:
        yield
    except InfraScaleError as error:
        if as_json:
            print(json.dumps({"error": {"what": error.what, "why": error.why, "fix": error.fix}}, indent=2))
        raise
