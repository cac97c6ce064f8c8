"""The loop closed on a real vLLM: profile this machine, load-test it, calibrate, predict loads that were not used.

    python benchmarks/live_loop.py --vllm PATH/bin/vllm [--profile cpu.toml] [--rounds 12] [--out rows.json]

PATH is an environment with vLLM (its CPU build will do). Without --profile this environment needs PyTorch, and measures
the machine first: the hardware entry that everything is predicted from. Learnt from: `vllm bench serve` at four loads,
read back as any user's files. Held out: other numbers of clients, other lengths, and random arrivals. Printed: measured
beside the general model and the calibrated one, with its 90 % interval.
The machine should have nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from real_vllm import HOST, MOST_SEQS, MOST_TOKENS, PORT, server

from infrascale.calibration.cases import measured
from infrascale.calibration.own import Calibration, Case, calibrate
from infrascale.deployment import PhysicsTimer
from infrascale.loadtests import read
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Asked, asked
from infrascale.predicting import predict
from infrascale.serving import Waves, limits_of
from infrascale.serving.queueing import Loaded, Replica, steps_until_seen
from infrascale.serving.routing import Arrivals
from infrascale.verifying.design import expected

BLOCKS = 4096


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


def question(load: Load, model: Path, profile: Path, rate: float = 0.0, rounds: float = 12) -> Asked:
    row = {
        "model": str(model), "gpu": str(profile), "tp": "1", "gpu_count": "1", "engine": "vllm", "isl": str(load.isl),
        "osl": str(load.osl), "notes": f"max_num_seqs={MOST_SEQS} max_num_batched_tokens={MOST_TOKENS}",
        "load_kind": "open" if rate else "closed", "concurrency": "" if rate else str(load.clients),
        "request_rate": f"{rate:.4f}" if rate else "", "engine_version": "0.32",
    }  # fmt: skip
    return replace(asked(row), waves=Waves(count=rounds))


def bench(vllm: Path, model: Path, load: Load, rounds: int, out: Path, rate: float = 0.0):
    """One run of vllm bench serve, read back."""
    clients = load.clients or MOST_SEQS
    words = [vllm, "bench", "serve", "--backend", "vllm", "--base-url", f"http://{HOST}:{PORT}", "--model", "tiny"]
    words += ["--tokenizer", model, "--dataset-name", "random", "--ignore-eos", "--num-prompts", clients * rounds]
    words += ["--random-input-len", load.isl, "--random-output-len", load.osl, "--num-warmups", clients]
    words += ["--save-result", "--save-detailed", "--disable-tqdm", "--result-filename", out]
    words += ["--request-rate", f"{rate:.4f}"] if rate else ["--max-concurrency", load.clients]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    done = subprocess.run(list(map(str, words)), env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"vllm bench serve failed:\n{done.stderr[-2000:]}")
    return read(str(out)).points[0]


def most_per_s(load: Load, model: Path, profile: Path, own: Calibration) -> float:
    """Requests a second with every place taken, as the calibrated model has it."""
    full = question(replace(load, clients=MOST_SEQS), model, profile)
    return predict(full, own).measures["output_tok_per_s_total"] / load.osl


def ttft_p95_s(row: Asked, own: Calibration) -> float | None:
    """Of random arrivals, by the queue."""
    deployment = row.deployment
    curves = own.efficiency(efficiency(), deployment.gpu, deployment.model)
    timer = PhysicsTimer(deployment=deployment, efficiency=curves)
    replica = Replica(
        timer=timer,
        workload=row.workload,
        limits=limits_of(deployment, row.workload),
        host=timer.host,
        unseen_steps=steps_until_seen(deployment.engine),
    )
    found = replica.under(Arrivals(request_per_s=row.request_per_s or 0.0))
    return found.spread(0).quantiles_s[0.95] if isinstance(found, Loaded) else None


def measure(vllm: Path, profile: Path | None, rounds: int) -> dict[str, Any]:
    """Everything measured and predicted, as one dictionary."""
    with tempfile.TemporaryDirectory() as folder:
        place = profile or profile_of_this_machine(Path(folder) / "profile.toml")
        with server(vllm, BLOCKS) as log:
            model = Path(log).parent
            started = time.monotonic()
            cases = []
            for index, load in enumerate(LEARNT):
                point = bench(vllm, model, load, rounds, Path(folder) / f"learnt{index}.json")
                cases.append(Case(asked=question(load, model, place, 0.0, rounds), measured=measured(point, load.osl)))
            own, errors = calibrate(cases, efficiency())
            rows = []
            for index, load in enumerate(HELD_OUT):
                rate = load.share * most_per_s(load, model, place, own) if load.share else 0.0
                point = bench(vllm, model, load, rounds, Path(folder) / f"held{index}.json", rate)
                rows.append(_row(load, question(load, model, place, rate, rounds), point, own))
            again = bench(vllm, model, LEARNT[1], rounds, Path(folder) / "again.json")
            pace = (again.tpot.mean_s or 0.0) / cases[1].measured["tpot"]
            return {
                "gpu": cases[0].asked.deployment.gpu.name,
                "seconds": time.monotonic() - started,
                "pace": pace,
                "multipliers": list(own.multipliers),
                "learnt": [
                    {
                        "load": LEARNT[cases.index(e.case)].name,
                        "measure": e.measure,
                        "before": e.before,
                        "after": e.after,
                    }
                    for e in errors
                ],
                "rows": rows,
            }


def _row(load: Load, row: Asked, point, own: Calibration) -> dict[str, Any]:
    seen = measured(point, load.osl)
    general, found = predict(row).measures, predict(row, own).measures
    told: dict[str, Any] = {"load": load.name}
    for measure, (low, best, high) in expected(row, own).items():
        ends = {"low": low, "own": best, "high": high}
        told[measure] = {"measured": seen[measure], "general": general[f"{measure}_mean_s"], **ends}
    key = "output_tok_per_s_total"
    told["tokens"] = {"measured": point.output_token_per_s, "general": general[key], "own": found[key]}
    if load.share:
        told["ttft_p95"] = {"measured": point.ttft.quantiles_s[0.95], "own": ttft_p95_s(row, own)}
    return told


def screen(found: dict[str, Any]) -> list[str]:
    lines = [f"{found['gpu']}: {found['seconds']:.0f} s; pace of the machine at the end × {found['pace']:.2f}", ""]
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True)
    parser.add_argument("--profile", type=Path)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = measure(given.vllm.absolute(), given.profile, given.rounds)
    print("\n".join(screen(result)))
    if given.out:
        given.out.write_text(json.dumps(result, indent=2))
