"""How long the app takes to answer a change: one run of its script on the server, by screen.

python benchmarks/app_speed.py

Each change is a number of users not asked before in this process, so that nothing but step times is remembered. Counted
is the processor time of the script's own thread, so that neither what else runs on the machine nor the test runner that
drives it (a tenth of a second of its own) counts; drawing in the browser comes on top. `sentence`: until the answer's
sentence stands. `whole`: the whole screen. `beside`: work of a percentile that goes on in a thread of its own, with its
progress, once the screen stands.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time, sleep, thread_time

from streamlit.testing.v1 import AppTest

from infrascale.app import answer, page

main_of_page = page.main
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


@dataclass(slots=True)
class Clock:
    """Processor seconds of the last change: until the sentence first stood, and of all that ran for it."""

    sentence_s: float = 0.0
    whole_s: float = 0.0


clock = Clock()


def _timed() -> None:
    """The page with its clock: what the test runner's script calls."""
    start, said = thread_time(), answer.sentence

    def sentence(*given: object) -> None:
        said(*given)
        clock.sentence_s = clock.sentence_s or thread_time() - start

    answer.sentence = sentence
    try:
        main_of_page()
    finally:
        answer.sentence = said
        clock.whole_s += thread_time() - start


def run(users: int, **parameters: str | list[str]) -> tuple[float, float, float]:
    app = AppTest.from_file(APP, default_timeout=120)
    for name, value in (parameters | {"users": str(users), "owned": str(users // 50)}).items():
        app.query_params[name] = value
    clock.sentence_s = clock.whole_s = 0.0
    app.run()
    assert not app.exception and app.success, parameters
    job = app.session_state["job_bends"] if "job_bends" in app.session_state else None  # noqa: SIM401
    start = process_time()
    while job is not None and job.running:
        sleep(0.01)
    return clock.sentence_s, clock.whole_s, process_time() - start if job else 0.0


def main() -> None:
    logging.disable(logging.WARNING)
    page.main = _timed
    run(1234)  # imports, catalog
    names = ("sentence [ms]", "whole", "slowest", "asked again", "beside")
    print(f"{'screen, median of 9':<22}" + "".join(f"{name:>14}" for name in names))
    for place, (name, parameters) in enumerate(CASES.items()):
        users = 5000 + 11 * place
        runs = [run(users + 377 * step, **parameters) for step in range(9)]
        again = run(users, **parameters)[1]
        columns = [sorted(column) for column in zip(*runs, strict=True)]
        row = (median(columns[0]), median(columns[1]), columns[1][-1], again, median(columns[2]))
        print(f"{name:<22}" + "".join(f"{1000 * value:>14.0f}" for value in row))


if __name__ == "__main__":
    main()
