"""Throughput of a sweep on all cores and on a local Ray cluster: python benchmarks/study.py [--ray]

Six thousand plans of two models on two kinds of GPU, each priced at 200 prices: 1.2 million rows. Also kills the local
run with SIGKILL half-way and resumes it, and counts the rows.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STUDY = """
[sweep]
model = ["llama-3.1-8b", "qwen3-32b"]
gpu = ["h100-sxm", "l40s"]
isl = [500, 1000, 2000, 4000, 8000]
osl = [200, 400, 800]
tokens_per_s = [10, 20, 30, 40]
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
    users = [100 * n for n in range(1, 26)]
    prices = [f"{1 + n / 100:.2f}eur" for n in range(200)]
    study = folder / "study.toml"
    study.write_text(STUDY.format(users=users, prices=json.dumps(prices)))
    run = subprocess.Popen(command(study, folder / "local"), start_new_session=True, stdout=subprocess.DEVNULL)
    begun = time.perf_counter()
    while len(list((folder / "local").glob("part-*.parquet"))) < 12 and run.poll() is None:
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
    print(f"  {count:,} rows, {different:,} different, of {found['rows']:,}")


if __name__ == "__main__":
    main()
