"""The loop closed on a real vLLM: profile this machine, load-test it, calibrate, predict loads that were not used.

    python benchmarks/live_loop.py --vllm PATH/bin/vllm [--profile cpu.toml] [--rounds 10] [--keep FOLDER]
    python benchmarks/live_loop.py --again FOLDER        # the same judged again from the files kept, without a vLLM

PATH is an environment with vLLM (its CPU build will do). Without --profile this environment needs PyTorch, and measures
the machine first: the hardware entry that everything is predicted from. Learnt from: `vllm bench serve` at four loads,
read back as any user's files, twice, before and after the others. Held out: other numbers of clients, other lengths,
and random arrivals, three times each, every second time backwards, so that a machine that slows down favours none. What
was measured is the median of the three: a p95 of sixty requests is that of the first six, which one hiccup meets all
together. A run beside which others took more than `DISTURBED` of a core is repeated while `REPEATS` last, and the
quietest one is kept. Printed: measured beside the general model and the calibrated one, with its 90 % interval.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from math import exp
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from real_vllm import HOST, MOST_SEQS, MOST_TOKENS, PORT, server

from infrascale.calibration.cases import measured
from infrascale.calibration.own import NAMES, Calibration, Case, Error, calibrate
from infrascale.loadtests import Point, read
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.measurements import Asked, asked
from infrascale.predicting import predict
from infrascale.serving import Waves
from infrascale.verifying.design import expected

BLOCKS = 4096
#: How often each load is gone through.
LEARNT_PASSES, HELD_OUT_PASSES = 2, 3
#: Cores that other work may take beside a run; and runs that may be made again in all.
DISTURBED, REPEATS = 0.08, 10
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Load:
    """Clients of a closed loop, or a share of the most that is sustained at these lengths, as random arrivals."""

    isl: int
    osl: int
    clients: int = 0
    share: float = 0.0

    @property
    def name(self) -> str:
        load = f"{self.clients} clients" if self.clients else f"{100 * self.share:.0f} % of capacity"
        return f"{self.isl} → {self.osl}, {load}"


LEARNT = (Load(64, 48, 1), Load(64, 48, 4), Load(64, 48, 14), Load(384, 24, 4))
HELD_OUT = (Load(64, 48, 2), Load(64, 48, 8), Load(128, 32, 6), Load(256, 64, 10), Load(64, 48, 0, 0.6))


def profile_of_this_machine(place: Path) -> Path:
    """Measured with the command that a person would type."""
    words = [sys.executable, "-c", "from infrascale.cli import main; main()", "profile", "--device", "cpu", "-o", place]
    subprocess.run(list(map(str, words)), check=True)
    return place


def question(load: Load, folder: Path, point: Point | None = None, rate: float = 0.0) -> Asked:
    """What is asked at a load; with a measured point: of the requests that it really sent."""
    row = {
        "model": str(folder / "model"), "gpu": str(folder / "profile.toml"), "tp": "1", "gpu_count": "1",
        "engine": "vllm", "isl": str(load.isl), "osl": str(load.osl), "engine_version": "0.32",
        "notes": f"max_num_seqs={MOST_SEQS} max_num_batched_tokens={MOST_TOKENS}",
        "load_kind": "open" if load.share else "closed", "concurrency": "" if load.share else str(load.clients),
        "request_rate": f"{(point.request_per_s if point else None) or rate:.4f}" if load.share else "",
    }  # fmt: skip
    waves = Waves(count=point.waves or 1.0, one_length=point.one_length) if point else Waves()
    return replace(asked(row), waves=waves)


def others_s() -> float:
    """Processor time that others than this program and its children have taken here [s]; Linux alone tells."""
    if not Path("/proc/stat").exists():
        return 0.0
    words = Path("/proc/stat").read_text().split()[1:9]
    busy = sum(int(word) for place, word in enumerate(words) if place not in (3, 4))  # neither idle nor waiting
    parents, spent = {}, {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.parent.name)] = int(fields[1])
        spent[int(place.parent.name)] = sum(map(int, fields[11:15]))
    own = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in own} - own:
        own |= more
    return TICK_S * (busy - sum(spent.get(pid, 0) for pid in own))


def measure(vllm: Path, folder: Path, load: Load, rounds: int, out: Path, rate: float, repeats: list[Path]) -> None:
    """A run of the benchmark, and again while others disturb it; `repeats`: those made so far."""
    least = float("inf")
    while True:
        tried = out.with_suffix(".tried")
        before, begun = others_s(), time.monotonic()
        bench(vllm, folder, load, rounds, tried, rate)
        share = (others_s() - before) / (time.monotonic() - begun)
        if share < least:
            least = share
            tried.replace(out)
        print(f"{out.name} {load.name}: others took {share:.2f} of a core", flush=True)
        if least < DISTURBED or len(repeats) >= REPEATS or repeats[-2:] == [out, out]:
            return
        repeats.append(out)


def bench(vllm: Path, folder: Path, load: Load, rounds: int, out: Path, rate: float = 0.0) -> None:
    """One run of vllm bench serve."""
    clients = load.clients or MOST_SEQS
    words = [vllm, "bench", "serve", "--backend", "vllm", "--base-url", f"http://{HOST}:{PORT}", "--model", "tiny"]
    words += ["--tokenizer", folder / "model", "--dataset-name", "random", "--ignore-eos"]
    words += ["--num-prompts", clients * rounds, "--num-warmups", clients]
    words += ["--random-input-len", load.isl, "--random-output-len", load.osl]
    words += ["--save-result", "--save-detailed", "--disable-tqdm", "--result-filename", out]
    words += ["--request-rate", f"{rate:.4f}"] if rate else ["--max-concurrency", load.clients]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"vllm bench serve failed:\n{done.stderr[-2000:]}")


def most_per_s(load: Load, folder: Path, own: Calibration) -> float:
    """Requests a second with every place taken, as the calibrated model has it."""
    full = question(replace(load, clients=MOST_SEQS, share=0.0), folder)
    return predict(full, own).measures["output_tok_per_s_total"] / load.osl


def record(vllm: Path, profile: Path | None, rounds: int, folder: Path) -> None:
    """The machine's profile, the model, and what the tool wrote at each load on each pass, in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "profile.toml"
    shutil.copy(profile, place) if profile else profile_of_this_machine(place)
    repeats: list[Path] = []
    with server(vllm, BLOCKS) as log:
        shutil.copytree(Path(log).parent, folder / "model", dirs_exist_ok=True)
        for n, load in enumerate(LEARNT):
            measure(vllm, folder, load, rounds, folder / f"learnt{n}-0.json", 0.0, repeats)
        own, _ = learnt(folder, passes=1)
        rates = [load.share * most_per_s(load, folder, own) if load.share else 0.0 for load in HELD_OUT]
        for turn in range(HELD_OUT_PASSES):
            for n in range(len(HELD_OUT))[:: -1 if turn % 2 else 1]:
                measure(vllm, folder, HELD_OUT[n], rounds, folder / f"held{n}-{turn}.json", rates[n], repeats)
        for n in reversed(range(len(LEARNT))):
            measure(vllm, folder, LEARNT[n], rounds, folder / f"learnt{n}-1.json", 0.0, repeats)


def points(folder: Path, name: str, passes: int = 9) -> list[Point]:
    """Of the first so many passes that there are."""
    places = sorted(folder.glob(f"{name}-*.json*"))[:passes]
    return [point for place in places for point in read(str(place)).points[:1]]


def learnt(folder: Path, passes: int = LEARNT_PASSES) -> tuple[Calibration, list[Error]]:
    cases = [
        Case(asked=question(load, folder, point), measured=measured(point, load.osl))
        for n, load in enumerate(LEARNT)
        for point in points(folder, f"learnt{n}", passes)
    ]
    return calibrate(cases, efficiency())


def judged(folder: Path) -> dict[str, Any]:
    """Everything measured and predicted, from the files of `record`."""
    own, _ = learnt(folder)
    rows = [_row(load, folder, points(folder, f"held{n}"), own) for n, load in enumerate(HELD_OUT)]
    paces = []
    for n in range(len(LEARNT)):
        first, second = points(folder, f"learnt{n}")
        paces.append((second.tpot.mean_s or 0.0) / (first.tpot.mean_s or 1.0))
    return {
        "gpu": gpu(str(folder / "profile.toml")).name,
        "pace": geometric_mean(paces),
        "multipliers": {name: exp(value) for name, value in zip(NAMES, own.multipliers, strict=True)},
        "rows": rows,
    }


def _row(load: Load, folder: Path, passes: list[Point], own: Calibration) -> dict[str, Any]:
    """A load beside its predictions; what was measured is the median of the passes."""
    asked_for = question(load, folder, passes[0])
    seen = {key: median(measured(point, load.osl)[key] for point in passes) for key in ("tpot", "ttft")}
    seen["ttft_p95"] = median(point.ttft.quantiles_s[0.95] for point in passes)
    general, found = predict(asked_for), predict(asked_for, own)
    whole = general.measures | general.tails
    told: dict[str, Any] = {"load": load.name}
    for measure, (low, best, high) in expected(asked_for, own).items():
        if measure in seen:
            ends = {"low": low, "own": best, "high": high}
            told[measure] = {
                "measured": seen[measure],
                "general": whole.get(f"{measure}_mean_s") or whole[f"{measure}_s"],
                **ends,
            }
    key = "output_tok_per_s_total"
    rate = median(point.output_token_per_s or 0.0 for point in passes)
    told["tokens"] = {"measured": rate, "general": general.measures[key], "own": found.measures[key]}
    return told


def screen(found: dict[str, Any]) -> list[str]:
    learnt_s = ", ".join(f"{name} × {value:.2f}" for name, value in found["multipliers"].items())
    lines = [f"{found['gpu']}; the second pass took × {found['pace']:.2f} of the first", f"learnt: {learnt_s}", ""]
    lines.append(f"{'held out':<30}{'measured':>12}{'general':>10}{'own':>10}{'90 % interval':>18}")
    for row in found["rows"]:
        for measure, unit, scale in (
            ("tpot", "ms", 1e3),
            ("ttft", "ms", 1e3),
            ("ttft_p95", "ms", 1e3),
            ("tokens", "/s", 1),
        ):
            if measure not in row:
                continue
            one = {k: v * scale for k, v in row[measure].items() if v}
            ends = f"{one['low']:.1f} … {one['high']:.1f}" if "low" in one else ""
            general = f"{one['general'] / one['measured'] - 1:+.0%}" if "general" in one else "–"
            own = f"{one['own'] / one['measured'] - 1:+.0%}" if "own" in one else "–"
            name = row["load"] if measure == "tpot" else ""
            lines.append(f"{name:<22}{measure:<8}{one['measured']:>9.1f} {unit}{general:>10}{own:>10}{ends:>18}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--again", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        folder = given.again or given.keep or Path(passing)
        if given.again is None:
            if given.vllm is None:
                parser.error("name a vllm with --vllm, or files kept with --again")
            record(given.vllm.absolute(), given.profile, given.rounds, folder.absolute())
        print("\n".join(screen(judged(folder.absolute()))))


if __name__ == "__main__":
    main()
