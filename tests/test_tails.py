"""The worked plan of docs/tails.md is run as it stands: `python tests/test_tails.py` writes its output."""

from __future__ import annotations

from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs" / "tails.md"


@pytest.mark.slow
def test_the_page_says_what_the_commands_say(tmp_path):
    pytest.importorskip("numba")
    from test_decisions import run, words

    pairs = run(PAGE, str(tmp_path))
    assert len(pairs) == 4
    for said, printed in pairs:
        lines = printed.splitlines()
        assert lines and all(len(line) <= 80 for line in lines), printed
        now = {words(line) for line in lines}
        held = [words(line) in now for line in said.splitlines()]
        assert sum(held) >= 0.8 * len(held), printed
    tpot = pairs[0][1].split("  TPOT ")[1].split()
    mean_s, p95_s = float(tpot[0]), float(tpot[3])
    assert mean_s < 1 / 15 < p95_s, "the page's title"


if __name__ == "__main__":
    from test_decisions import written

    PAGE.write_text(written(PAGE), encoding="utf-8")
