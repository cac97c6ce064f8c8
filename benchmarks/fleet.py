"""Ten models on eight kinds of servers, evaluated and solved to proven optimality: python benchmarks/fleet.py [N]

Prints seconds of evaluation and of the integer programme, its gap, and the answer. With N: the same for as many random
demands (each model's users and the servers owned drawn anew), as the distribution of processor seconds and gaps.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from infrascale.parsing.inventories import inventory
from infrascale.planning.fleet import Problem, cheapest, most_served
from infrascale.studies.fleets import problem_of

SERVERS = (
    ("h100-sxm", 8, 6, "280000eur"), ("h100-pcie", 4, 4, "140000eur"), ("h200-sxm", 8, 2, "330000eur"),
    ("a100-sxm-80gb", 8, 8, "150000eur"), ("l40s", 4, 10, "60000eur"), ("l4", 8, 6, "40000eur"),
    ("b200", 8, 0, "480000eur"), ("mi300x", 8, 1, "230000eur"),
)  # fmt: skip
MODELS = (
    ("llama-3.1-8b", 9000), ("llama-3.3-70b", 4000), ("qwen3-32b", 3000), ("gemma-3-27b-it", 2000),
    ("mistral-small-3.2-24b-instruct-2506", 8000), ("gpt-oss-120b", 5000), ("gpt-oss-20b", 5000),
    ("qwen3-30b-a3b", 4000), ("mistral-nemo-instruct-2407", 2500), ("qwen3-235b-a22b", 1500),
)  # fmt: skip


def fleet_toml() -> str:
    text = ""
    for gpu, gpus, owned, price in SERVERS:
        text += f'[[server]]\ngpu = "{gpu}"\ngpus = {gpus}\nowned = {owned}\nmost = {owned + 20}\nprice = "{price}"\n'
    for model, users in MODELS:
        text += f'[[model]]\nmodel = "{model}"\nusers = {users * 3}\nredundancy = 1\n'
    return text


def main() -> None:
    path = Path(tempfile.mkdtemp()) / "fleet.toml"
    path.write_text(fleet_toml())
    start = time.perf_counter()
    problem = problem_of(inventory(str(path)))
    evaluated = time.perf_counter()
    if sys.argv[1:]:
        distribution(problem, int(sys.argv[1]))
        return
    found = cheapest(problem)
    solved = time.perf_counter()
    most = most_served(problem)
    ended = time.perf_counter()
    assert found is not None
    print(f"{len(problem.needs)} models × {len(problem.servers)} kinds, {len(problem.ways)} ways")
    print(f"evaluated in {evaluated - start:.2f} s, solved in {solved - evaluated:.2f} s, gap {found.gap_fraction:g}")
    print(f"most served in {ended - solved:.2f} s: {most.scale:.3f} of every demand, gap {most.gap_fraction:g}")
    bought = {name: count for name, count in found.bought.items() if count}
    print(f"buys {bought} for {found.price:,.0f} EUR; {found.gpus} GPUs in use")


def drawn(problem: Problem, rng: Random) -> Problem:
    """Users a third to three times as many of each model; up to twice the servers owned."""
    needs = tuple(replace(need, demand=need.demand * 3 ** rng.uniform(-1, 1)) for need in problem.needs)
    servers = tuple(
        replace(server, owned=(owned := round(server.owned * rng.uniform(0, 2))), most=owned + 20)
        for server in problem.servers
    )
    return replace(problem, needs=needs, servers=servers)


def distribution(problem: Problem, count: int) -> None:
    """One core's seconds, as a wall clock would measure what else the machine does."""
    print("   cheapest s    gap  most served s    gap")
    found = []
    for number in range(count):
        asked = drawn(problem, Random(number))
        times, gaps = [], []
        for solve in (cheapest, most_served):
            begun = time.process_time()
            solution = solve(asked)
            times.append(time.process_time() - begun)
            gaps.append(solution.gap_fraction if solution else 0.0)
        found.append((*times, *gaps))
        print(f"{number:3}{times[0]:10.2f}{gaps[0]:7.2%}{times[1]:15.2f}{gaps[1]:7.2%}", flush=True)
    for name, column, gap in (("cheapest", 0, 2), ("most served", 1, 3)):
        times = sorted(one[column] for one in found)
        shown = ", ".join(
            f"{share:.0%} within {times[min(count - 1, int(share * count))]:.1f} s" for share in (0.5, 0.9, 1)
        )
        worst, proven = max(one[gap] for one in found), sum(one[gap] <= 1e-3 for one in found)
        print(f"{name}: {shown}; {proven} of {count} proven to a thousandth, worst gap {worst:.2%}")


if __name__ == "__main__":
    main()
