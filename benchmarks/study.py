"""Throughput of a sweep on all cores and on a local Ray cluster: python benchmarks/study.py [--ray NODES]

105,600 plans: four models on four kinds of GPU, 15 workloads, 8 promises, 55 demands; each at ten prices: a million
rows. Each run is killed with SIGKILL on its way and resumed, its rows are counted, and the memory of the largest
process is taken. On Ray, NODES nodes of one worker each, a worker is killed before and a whole node after the resume;
its rows must be those of the local run.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

STUDY = """
[sweep]
model = ["llama-3.1-8b", "qwen3-32b", "llama-3.3-70b", "gpt-oss-120b"]
gpu = ["h100-sxm", "h200-sxm", "a100-sxm-80gb", "l40s"]
isl = [500, 1000, 2000, 4000, 8000]
osl = [200, 400, 800]
tokens_per_s = [10, 20, 30, 40]
ttft = [1, 3]
users = {users}
[prices]
per_gpu_hour = {prices}
"""


def command(study: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        "from infrascale.cli import main; main()",
        "study",
        str(study),
        "--out",
        str(out),
        "--json",
        *more,
    ]


def rows(out: Path) -> tuple[int, int]:
    """Rows in the folder, and different ones among them."""
    import pyarrow.parquet as parquet

    seen: set[tuple[int, float]] = set()
    count = 0
    for part in out.glob("part-*.parquet"):
        table = parquet.read_table(part, columns=["plan", "per_gpu_hour"])
        count += table.num_rows
        seen.update(zip(table["plan"].to_pylist(), table["per_gpu_hour"].to_pylist(), strict=True))
    return count, len(seen)


class Memory(threading.Thread):
    """The most that one process that plans held, and all of them at once, sampled twice a second [bytes].

    Those of the run's own session, and Ray's workers.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.session, self.largest, self.together, self.over = 0, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.5):
            held = [_resident(pid) for pid in ray_workers() + _of_session(self.session)]
            self.largest, self.together = max([self.largest, *held]), max(self.together, sum(held))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _of_session(session: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(place.name)) == session:
                found.append(int(place.name))
        except OSError:
            continue
    return found


def ray_workers() -> list[int]:
    """Processes of Ray that plan at this moment."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().startswith(b"ray::part_of"):
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def parts(out: Path) -> int:
    return len(list(out.glob("part-*.parquet")))


def killed_and_resumed(
    name: str, study: Path, out: Path, *more: str, harm: tuple[Callable[[], None], ...] = ()
) -> None:
    """Runs, harmed after 40 parts, killed after 80; resumed, harmed 40 parts later; then counted."""
    memory = Memory()
    memory.start()
    done = []
    for last in (80, None):
        begun, first, hurt = time.perf_counter(), parts(out), False
        run = subprocess.Popen(
            command(study, out, *more),
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if last else None,  # its complaint about the workers it loses when killed
            text=True,
        )
        memory.session = run.pid
        while run.poll() is None and (last is None or parts(out) < last):
            if harm and not hurt and parts(out) >= first + 40:
                harm[len(done)]()
                hurt = True
            time.sleep(0.1)
        if last is not None:
            os.killpg(run.pid, signal.SIGKILL)
            print(f"{name}: killed after {time.perf_counter() - begun:.1f} s and {rows(out)[0]:,} rows", flush=True)
        text, _ = run.communicate()
        done.append(text)
    assert run.returncode == 0
    memory.over.set()
    show(name, json.loads(done[-1].splitlines()[-1]), memory, *rows(out))


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    users = [100 * n for n in range(1, 56)]
    prices = [f"{1 + n / 100:.2f}eur" for n in range(10)]
    study = folder / "study.toml"
    study.write_text(STUDY.format(users=users, prices=json.dumps(prices)))
    killed_and_resumed("on all cores", study, folder / "local")
    if "--ray" in sys.argv:
        _on_ray(int(sys.argv[sys.argv.index("--ray") + 1]), study, folder)


def _on_ray(nodes: int, study: Path, folder: Path) -> None:
    """A head that plans nothing and nodes of one worker each, so that any of them may be lost."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    working = [cluster.add_node(num_cpus=1) for _ in range(nodes)]

    def kill_worker() -> None:
        pid = ray_workers()[0]
        os.kill(pid, signal.SIGKILL)
        print(f"  worker {pid} killed", flush=True)

    def kill_node() -> None:
        cluster.remove_node(working.pop(), allow_graceful=False)
        print(f"  a node killed, {len(working)} left", flush=True)

    try:
        name = f"on Ray, {nodes} nodes"
        killed_and_resumed(name, study, folder / "ray", "--ray", cluster.address, harm=(kill_worker, kill_node))
    finally:
        cluster.shutdown()
    same = all(
        part.read_bytes() == (folder / "local" / part.name).read_bytes() for part in (folder / "ray").glob("part-*")
    )
    print(f"  every part the same as the local run's: {same}")


def show(what: str, found: dict, memory: Memory, count: int, different: int) -> None:
    rate = found["planned_now"] / found["seconds"]
    print(f"{what}: {found['planned_now']:,} plans, {rate:,.0f} a second on {os.cpu_count()} cores")
    print(f"  {count:,} rows, {different:,} different, of {found['rows']:,}")
    print(f"  the largest process held {memory.largest / 2**20:,.0f} MiB, all together {memory.together / 2**20:,.0f}")


if __name__ == "__main__":
    main()
