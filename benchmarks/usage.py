"""Does `infrascale usage` stay in memory and find the truth in a large log?

    python benchmarks/usage.py [--rows 25_000_000] [--folder FOLDER]

Makes an OpenGateLLM table of known users, sessions and think times as CSV and Parquet, learns from each in a process of
its own, and prints time, the processor's time, peak memory and what was found beside the truth. Each file
is read once before, so that none pays for what the other's making left to be written. Exits 1 if any error exceeds 5 %.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REQUESTS_PER_SESSION = 8
TOLERANCE = 0.05


def make(folder: Path, rows: int) -> dict[str, float]:
    """Sessions six hours apart, 1 to 15 requests each, answers lognormal about 7 s, think times exponential of 90 s."""
    import duckdb

    users = max(50, rows // 1250)
    sessions = rows // REQUESTS_PER_SESSION
    con = duckdb.connect(str(folder / "make.duckdb"))
    con.execute(f"SET memory_limit='3GB'; SET temp_directory='{folder}'; SELECT setseed(0.5)")
    con.execute(f"""CREATE TABLE r AS WITH s AS (
        SELECT s, s % {users} AS u, (s // {users}) * 21600 + random() * 3600 AS start,
               1 + floor(random() * 15)::INT AS n
        FROM range({sessions}) r(s)),
    q AS (SELECT s, u, start, n, k, exp(2 + 0.5 * sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random())) AS d,
                 -90 * ln(1 - random()) AS think
          FROM (SELECT *, unnest(range(n)) AS k FROM s))
    SELECT s, u, k, n, d, think, start + coalesce(sum(d + think) OVER (PARTITION BY s ORDER BY k
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS t FROM q""")
    truth = con.execute("""SELECT count(*), count(DISTINCT u), count(DISTINCT s), avg(think) FILTER (k < n - 1),
        sum(d) / (sum(d) + sum(think) FILTER (k < n - 1)),
        count(*) / (sum(d) + sum(think) FILTER (k < n - 1)) * 3600 FROM r""").fetchone()
    table = """SELECT row_number() OVER () AS id, make_timestamp((1767225600 + t) * 1000000 :: BIGINT) AS created,
        u AS user_id, 'agent' || u || '@example.org' AS user_email, 'mistral-small' AS provider_model_name,
        '/v1/chat/completions' AS endpoint, round(d * 1000)::INT AS latency, 180 AS ttft, 200 AS status,
        1 + (exp(6 + random() * 2))::INT AS prompt_tokens, 20 + (random() * 500)::INT AS completion_tokens FROM r"""
    table = table.replace("(1767225600 + t) * 1000000 :: BIGINT", "((1767225600 + t) * 1000000)::BIGINT")
    con.execute("SET preserve_insertion_order = false")
    con.execute(f"COPY ({table}) TO '{folder}/usage.csv' (HEADER)")
    con.execute(f"COPY ({table}) TO '{folder}/usage.parquet' (FORMAT parquet)")
    con.close()
    (folder / "make.duckdb").unlink()
    assert truth
    names = ("requests", "users", "sessions", "think_s", "share_in_flight", "requests_per_user_hour")
    return dict(zip(names, truth, strict=True))


def processor_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read_through(path: Path) -> None:
    """What was written goes to the disk, and the file to memory as far as there is room."""
    os.sync()
    with path.open("rb") as file:
        while file.read(1 << 24):
            pass


def learn(path: Path) -> tuple[dict, float, float, float]:
    """The answer, seconds, the processor's seconds, and peak resident memory in MiB of the process that gave it."""
    read_through(path)
    # VmHWM, since what getrusage calls a process's peak counts its parent's too.
    code = (
        "import sys; from infrascale.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')); "
        "print(int(peak.split()[1]) / 1024, file=sys.stderr)"
    )
    begun, used = time.monotonic(), processor_s()
    done = subprocess.run([sys.executable, "-c", code, "usage", str(path), "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout), time.monotonic() - begun, processor_s() - used, float(done.stderr.split()[-1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=25_000_000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    truth = make(folder, asked.rows)
    print(f"made {truth['requests']:,} rows; this process peaked at "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")  # fmt: skip
    worst = 0.0
    for name in ("usage.parquet", "usage.csv"):
        path = folder / name
        found, seconds, busy, mebibytes = learn(path)
        spent = f"{seconds:.0f} s ({busy:.0f} s of processor)"
        print(f"\n{name}: {path.stat().st_size / 1e9:.2f} GB, {spent}, peak {mebibytes:,.0f} MiB", flush=True)
        seen = found["users"]["at"] | {"requests": found["source"]["requests"], "users": found["users"]["users"]}
        for key, true in truth.items():
            error = abs(seen[key] / true - 1)
            worst = max(worst, error)
            print(f"  {key:<24} true {true:>14,.4f}   found {seen[key]:>14,.4f}   error {error:.2%}")
        path.unlink()
    sys.exit(1 if worst > TOLERANCE else 0)


if __name__ == "__main__":
    main()
