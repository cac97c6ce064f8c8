"""The README's example is what the program prints, within the table's own figures."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_first_answer_is_printed_as_shown():
    command = re.search(r"\.venv/bin/infrascale (plan .*)", README).group(1)
    shown = re.search(r"```text\n(.*?)\n```", README, re.DOTALL).group(1)
    assert _run(shlex.split(command)).stdout.rstrip() == shown


def test_the_other_commands_answer(tmp_path):
    lines = re.findall(r"^infrascale (.*?)(?:\s+#.*)?$", README, re.MULTILINE)
    runnable = [line for line in lines if "path/to" not in line and "rows.csv" not in line]
    assert len(runnable) >= 4
    for line in runnable:
        done = _run(shlex.split(line))
        assert done.returncode == 0 and done.stdout, f"{line}: {done.stderr}"


def test_the_accuracy_table_is_what_the_measurements_give():
    from infrascale.calibration.residuals import shipped_rows
    from infrascale.calibration.table import markdown
    from infrascale.calibration.validation import validation

    shown = re.search(r"<!-- accuracy -->\n(.*?)<!-- /accuracy -->", README, re.DOTALL).group(1).strip()
    assert shown == "\n".join(markdown(validation(shipped_rows()).scores("set")))
