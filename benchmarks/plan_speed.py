"""How long a plan takes: one GPU kind, the whole catalog, ten users to ten million.

    python benchmarks/plan_speed.py

Medians of processor time (one thread: what an idle machine takes) in a warm process. Every repetition asks other
lengths, so no step time is known from before.
"""

from __future__ import annotations

from statistics import median
from time import process_time

from infrascale import ask, plan

PRECISIONS = ["bf16", "fp8", "int8", "int4"]
MODELS = ["llama-3.1-8b", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "llama-3.3-70b", "deepseek-ai/DeepSeek-R1"]


def milliseconds(repeats: int, **keys: object) -> tuple[float, int]:
    """Median time of a plan, and how many deployments it judged."""
    taken, ways = [], 0
    for turn in range(repeats + 1):
        asked = ask(**{**keys, "isl": 1000 + turn, "osl": 400 + turn})
        start = process_time()
        found = plan(asked)
        taken.append(1e3 * (process_time() - start))
        ways = len(found.others) + len(found.rejected) + (found.best is not None)
    return median(taken[1:]), ways  # the first records the model's operators


def main() -> None:
    print("one GPU kind, all S, B, Q, N (goal 5 ms)")
    for model in MODELS:
        taken, ways = milliseconds(30, model=model, gpu="h100-sxm", users=1000)
        print(f"  {model:<48}{ways:>5} ways {taken:8.1f} ms")
    print("the same with --ttft p95=2s (goal 200 ms)")
    for model in MODELS:
        taken, ways = milliseconds(10, model=model, gpu="h100-sxm", users=1000, ttft="p95=2s")
        print(f"  {model:<48}{ways:>5} ways {taken:8.1f} ms")
    print("whole catalog × precisions × S (goal 1000 ms)")
    for model in MODELS:
        taken, ways = milliseconds(3, model=model, gpu="any", precision=PRECISIONS, users=1000)
        print(f"  {model:<48}{ways:>5} ways {taken:8.1f} ms")
    print("users, llama-3.1-8b on h100-sxm")
    for users in (10, 1e3, 1e5, 1e7):
        taken, _ = milliseconds(30, model=MODELS[0], gpu="h100-sxm", users=users)
        print(f"  {users:>12,.0f} {taken:8.1f} ms")


if __name__ == "__main__":
    main()
