"""Throughput of a sweep on all cores and on a local Ray cluster: python benchmarks/study.py [--ray]

105,600 plans: four models on four kinds of GPU, 15 workloads, 8 promises, 55 demands; each at ten prices: a million
rows. Also kills the local run with SIGKILL on its way and resumes it, counts the rows, and takes the memory of the
largest process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
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
    return [str(Path(sys.executable).parent / "infrascale"), "study", str(study), "--out", str(out), "--json", *more]


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


def main() -> None:
    folder = Path(tempfile.mkdtemp())
    users = [100 * n for n in range(1, 56)]
    prices = [f"{1 + n / 100:.2f}eur" for n in range(10)]
    study = folder / "study.toml"
    study.write_text(STUDY.format(users=users, prices=json.dumps(prices)))
    run = subprocess.Popen(command(study, folder / "local"), start_new_session=True, stdout=subprocess.DEVNULL)
    begun = time.perf_counter()
    while len(list((folder / "local").glob("part-*.parquet"))) < 60 and run.poll() is None:
        time.sleep(0.1)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    print(f"killed after {time.perf_counter() - begun:.1f} s and {rows(folder / 'local')[0]:,} rows")
    done = subprocess.run(command(study, folder / "local"), capture_output=True, text=True, check=True)
    show("resumed", json.loads(done.stdout), *rows(folder / "local"))
    if "--ray" in sys.argv:
        import ray

        context = ray.init(num_cpus=os.cpu_count(), include_dashboard=False, log_to_driver=False)
        on = ("--ray", context.address_info["gcs_address"])
        done = subprocess.run(command(study, folder / "ray", *on), capture_output=True, text=True, check=True)
        show("on Ray", json.loads(done.stdout.splitlines()[-1]), *rows(folder / "ray"))
        ray.shutdown()


def show(what: str, found: dict, count: int, different: int) -> None:
    rate = found["planned_now"] / found["seconds"]
    print(f"{what}: {found['planned_now']:,} plans, {rate:,.0f} a second on {os.cpu_count()} cores")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"  {count:,} rows, {different:,} different, of {found['rows']:,}; the largest process took {most:,.0f} MiB")


if __name__ == "__main__":
    main()
