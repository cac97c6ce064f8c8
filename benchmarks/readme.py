"""Write the README's example output and accuracy table from the program.    python benchmarks/readme.py"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from infrascale.calibration.residuals import shipped_rows
from infrascale.calibration.table import markdown
from infrascale.calibration.validation import validation

README = Path(__file__).parents[1] / "README.md"


def main() -> None:
    text = README.read_text(encoding="utf-8")
    words = shlex.split(re.search(r"\.venv/bin/infrascale (plan .*)", text).group(1))
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *words]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip()
    text = re.sub(r"```text\n.*?\n```", lambda _: f"```text\n{answer}\n```", text, count=1, flags=re.DOTALL)
    table = "\n".join(markdown(validation(shipped_rows()).scores("set")))
    marks = r"(<!-- accuracy -->\n).*?(<!-- /accuracy -->)"
    text = re.sub(marks, lambda found: f"{found[1]}\n{table}\n{found[2]}", text, flags=re.DOTALL)
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
