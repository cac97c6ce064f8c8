"""How long the app takes to answer a change: one run of its script on the server, by screen, first time and again.

python benchmarks/app_speed.py

Each change is a number of users not asked before in this process, so that nothing but step times is remembered. The
script's run is measured through Streamlit's test runner, in processor time, so that what else runs on the machine does
not count; drawing in the browser comes on top. The sentence stands before the curves of the answer are computed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from statistics import median
from time import process_time

from streamlit.testing.v1 import AppTest

APP = str(Path(__file__).parents[1] / "app.py")
CASES = {
    "need": {"screen": "need"},
    "model and hardware": {"screen": "hardware"},
    "answer": {"screen": "answer"},
    "answer, 4 kinds": {"screen": "answer", "gpu": ["h100-sxm", "h200-sxm", "l40s", "mi300x"]},
    "answer, DeepSeek-V3": {"screen": "answer", "model": "deepseek-ai/DeepSeek-V3", "gpu": "h200-sxm"},
    "answer, p95": {"screen": "answer", "ttft_at": "95"},
    "need, p95": {"screen": "need", "ttft_at": "95"},
    "capacity": {"goal": "have"},
}


def run(users: int, **parameters: str | list[str]) -> float:
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in (parameters | {"users": str(users), "owned": str(users // 50)}).items():
        app.query_params[name] = value
    start = process_time()
    app.run()
    took = process_time() - start
    assert not app.exception and app.success, parameters
    return took


def main() -> None:
    logging.disable(logging.WARNING)
    run(1234)  # imports, catalog
    print(f"{'screen':<22}{'first [ms]':>12}{'median of 9':>13}{'slowest':>9}{'asked again':>13}")
    for place, (name, parameters) in enumerate(CASES.items()):
        users = 5000 + 11 * place
        first = run(users, **parameters)
        later = [run(users + 377 * step, **parameters) for step in range(1, 10)]
        again = run(users, **parameters)
        row = [1000 * value for value in (first, median(later), max(later), again)]
        print(f"{name:<22}{row[0]:>12.0f}{row[1]:>13.0f}{row[2]:>9.0f}{row[3]:>13.0f}")


if __name__ == "__main__":
    main()
