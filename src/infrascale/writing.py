"""Files to disk, all or none: each is written beside its place, and moved there when every one is whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from infrascale.errors import FileError


def write(files: Mapping[str, str | bytes], out: str) -> list[Path]:
    """The files into folder `out`, or the only one into file `out`; shell scripts may be run."""
    target = Path(out)
    single = len(files) == 1 and target.suffix and not target.is_dir()
    places = {target if single else target / name: content for name, content in files.items()}
    drafts: dict[Path, Path] = {}
    try:
        for place, content in places.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_name(f".{place.name}.{os.getpid()}.part")
            drafts[draft] = place
            draft.write_bytes(content if isinstance(content, bytes) else content.encode())
            draft.chmod(0o755 if place.suffix == ".sh" else 0o644)
        for draft, place in drafts.items():
            draft.replace(place)
    except OSError as error:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        raise FileError(
            f"{out} cannot be written", why=error.strerror or str(error), fix="name a folder that you may write to"
        ) from None
    return list(places)
