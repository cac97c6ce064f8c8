"""Does the simulated scheduler decide as vLLM's own does? Random workloads through both, compared step by step.

    python benchmarks/scheduler_agreement.py VLLM_PYTHON DRIVE_SCHEDULER.py MODEL_FOLDER [--runs 24] [--seed 1]
        [--record FOLDER]

VLLM_PYTHON has vLLM installed; DRIVE_SCHEDULER.py drives vLLM's scheduler on a virtual clock and prints its decisions,
one JSON object a step. A step agrees when the same requests get the same tokens in the same order, the same prefix
hits, the same are preempted, and as many run, wait, and find free blocks. Recorded runs become fixtures of the tests.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import subprocess
import tempfile
from pathlib import Path

from infrascale.serving.simulation.recorded import Question, differences


def workload(rng: random.Random, priority: bool) -> list[dict[str, float]]:
    """Bursts, long prompts, shared prefixes, short and long answers. Times differ, so that no tie needs a name."""
    rows, clock = [], 0.0
    bursty, mean_gap = rng.random() < 0.5, rng.choice((0.002, 0.01, 0.03))
    groups = rng.choice((1, 3, 8))
    long_prompts = rng.choice((0.0, 0.1, 0.4))
    for i in range(rng.choice((60, 120, 200))):
        clock += 0.0 if bursty and rng.random() < 0.8 else rng.expovariate(1 / mean_gap)
        prompt = rng.randint(600, 1400) if rng.random() < long_prompts else rng.randint(1, 320)
        shared = rng.choice((0, 0, rng.randint(1, prompt), 16 * (prompt // 16), prompt))
        rows.append(
            {
                "arrival_s": round(clock + i * 1e-7, 9),
                "prompt_tokens": prompt,
                "output_tokens": rng.choice((1, 2, rng.randint(3, 40), rng.randint(40, 400))),
                "prefix_id": rng.randint(1, groups),
                "prefix_tokens": shared,
                "priority": rng.randint(0, 3) if priority else 0,
            }
        )
    return rows


def question(rng: random.Random, number: int) -> Question:
    priority = number % 2 == 1
    seqs = rng.choice((2, 8, 32, 128))
    return Question(
        rows=workload(rng, priority),
        max_num_seqs=seqs,
        max_num_batched_tokens=rng.choice((max(16, seqs), 128, 512, 2048)),
        blocks=rng.choice((120, 160, 300, 1200)),
        prefix_caching=rng.random() < 0.75,
        by_priority=priority,
        step_s=(0.01, 2e-5, 5e-4),
    )


def ask_vllm(asked: Question, python: str, script: str, model: str) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        requests = Path(folder) / "requests.csv"
        with requests.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(asked.rows[0]))
            writer.writeheader()
            writer.writerows(asked.rows)
        flags = ["--max-num-seqs", asked.max_num_seqs, "--max-num-batched-tokens", asked.max_num_batched_tokens]
        flags += ["--blocks", asked.blocks, "--policy", "priority" if asked.by_priority else "fcfs"]
        flags += ["--step-s", ",".join(map(str, asked.step_s))]
        flags += [] if asked.prefix_caching else ["--no-prefix-caching"]
        command = [python, script, model, str(requests), *map(str, flags)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"vLLM's scheduler stopped:\n{done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python")
    parser.add_argument("script")
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    steps = agreed = preemptions = hits = 0
    print("run  policy    seqs  budget  blocks  cache  requests   steps  preempted  hits  differing")
    for number in range(options.runs):
        asked = question(random.Random(f"{options.seed}/{number}"), number)
        recorded = ask_vllm(asked, options.python, options.script, options.model)
        taken = [line for line in recorded if "step" in line]
        wrong = differences(asked, recorded)
        preempted, hit = sum(len(s["preempted"]) for s in taken), sum(len(s["cached"]) for s in taken)
        print(
            f"{number:>3}  {'priority' if asked.by_priority else 'fcfs':<8} {asked.max_num_seqs:>5} "
            f"{asked.max_num_batched_tokens:>7} {asked.blocks:>7}  {asked.prefix_caching!s:<5} {len(asked.rows):>9} "
            f"{len(taken):>7} {preempted:>10} {hit:>5} {len(wrong):>10}",
            flush=True,
        )
        for line in wrong[:3]:
            print("     ", line)
        steps, agreed = steps + len(taken), agreed + len(taken) - len(wrong)
        preemptions, hits = preemptions + preempted, hits + hit
        if options.record:
            options.record.mkdir(parents=True, exist_ok=True)
            packed = json.dumps({"question": asked.as_json(), "recorded": recorded}, separators=(",", ":")).encode()
            (options.record / f"run_{options.seed}_{number:02d}.json.gz").write_bytes(gzip.compress(packed, 9, mtime=0))
    print(f"{agreed:,} of {steps:,} steps agree ({agreed / steps:.3%}); {preemptions:,} preemptions, {hits:,} hits")


if __name__ == "__main__":
    main()
