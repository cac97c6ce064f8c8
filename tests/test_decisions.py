"""The worked examples of docs/decisions are run as they stand: `python tests/test_decisions.py` writes their output.

A figure may move a little when the physics is fitted anew; what is said, and the size of the answer, may not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parent.parent / "docs" / "decisions").glob("*.md"))
BLOCK = re.compile(r"```(toml|sh|text)\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d[\d,.]*")


def run(page: Path, folder: str) -> list[tuple[str, str]]:
    """Files written and commands run in order: what each prints, beside what the page says."""
    found: list[tuple[str, str]] = []
    printed = ""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "toml":
            (Path(folder) / text.splitlines()[0].removeprefix("# file: ")).write_text(text)
        elif kind == "sh":
            env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "80"}
            done = subprocess.run(["bash", "-c", text], cwd=folder, env=env, capture_output=True, text=True)
            assert done.returncode in (0, 3), done.stderr
            printed = done.stdout
        else:
            found.append((text, printed))
    return found


def words(line: str) -> str:
    return re.sub(r"[\s█]+", " ", NUMBER.sub("#", line)).strip()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_says_what_the_commands_say(page, tmp_path):
    for extra in ("highspy", "genai_prices"):
        if find_spec(extra) is None:
            pytest.skip(f"{extra} is not installed")
    pairs = run(page, str(tmp_path))
    assert pairs
    for said, printed in pairs:
        lines = printed.splitlines()
        assert lines and all(len(line) <= 80 for line in lines), printed
        now = {words(line) for line in lines}
        held = [words(line) in now for line in said.splitlines()]
        assert sum(held) >= 0.8 * len(held), printed
        for pattern in (r"([\d,]+) × NVIDIA", r"([\d,]+) GPUs in use", r"in all +([\d,.]+)"):
            old, new = re.search(pattern, said), re.search(pattern, printed)
            if old and new:
                before, after = (float(one[1].replace(",", "")) for one in (old, new))
                assert after == pytest.approx(before, rel=0.25), printed


def written(page: Path) -> str:
    """The page with what its commands print today."""
    with tempfile.TemporaryDirectory() as folder:
        outputs = iter([printed for _, printed in run(page, folder)])
    return re.sub(r"```text\n.*?```", lambda _: f"```text\n{next(outputs)}```", page.read_text(), flags=re.DOTALL)


if __name__ == "__main__":
    for one in PAGES:
        one.write_text(written(one), encoding="utf-8")
