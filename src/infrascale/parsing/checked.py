"""A file of ours read back: refused in the same words where it is absent, large, no text or of another shape.

In: a path or a text, what makes a value of it, and how this kind of file is refused.    Out: the value.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from infrascale.errors import FileError

T = TypeVar("T")
Broken = Callable[[str, str], FileError]  # path, why


def text_of(path: str, most_bytes: int, broken: Broken) -> str:
    """The file as UTF-8."""
    try:
        if Path(path).stat().st_size > most_bytes:
            raise broken(path, f"it is larger than {most_bytes >> 20} MiB")
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="check the path") from None
    except ValueError as error:
        raise broken(path, str(error)[:200]) from None


def shaped(path: str, made: Callable[[], T], broken: Broken) -> T:
    """What `made` parses and validates; `path` is what messages call it."""
    try:
        return made()
    except ValidationError as error:
        first = error.errors()[0]
        raise broken(path, f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise broken(path, str(error)[:200]) from None
