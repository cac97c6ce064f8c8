"""Our predictions beside a peer's, aiconfigurator's, on the same published runs: errors, and the share answered.

    python -m venv peer && peer/bin/pip install aiconfigurator==0.12.0
    python benchmarks/peers.py --peer peer/bin/python

Asked are the closed-loop runs of one engine in the shipped measurements that our written rules keep. Both get the
row's inputs: GPU, engine, degrees, formats, lengths, concurrency. The peer knows few models by name, so a format it
does not publish for a model is asked by its modes; its one version of each engine's tables stands for all versions.
Its kernel tables shaped our efficiency curves too; of its end-to-end runs our fit saw the rows that are judged here, so
our column is the one with each model left out as well (docs/method.md has it).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from statistics import mean, median

SYSTEMS = {
    "H100-SXM-80GB": "h100_sxm", "H200-SXM-141GB": "h200_sxm", "B200-SXM-180GB": "b200_sxm", "GB200": "gb200",
    "B300-SXM": "b300_sxm", "GB300": "gb300",
}  # fmt: skip
#: Models as the peer names them, by the row's name and format.
MODELS = {
    ("Llama-3.1-8B-Instruct", ""): "meta-llama/Meta-Llama-3.1-8B",
    ("Llama-3.1-70B", ""): "meta-llama/Meta-Llama-3.1-70B",
    ("Qwen3-32B", ""): "Qwen/Qwen3-32B",
    ("DeepSeek-R1", ""): "deepseek-ai/DeepSeek-R1",
    ("DeepSeek-V3", ""): "deepseek-ai/DeepSeek-V3",
    ("DeepSeek-R1", "fp4"): "nvidia/DeepSeek-V3.1-NVFP4",
    ("DeepSeek-V3", "fp4"): "nvidia/DeepSeek-V3.1-NVFP4",
    ("MiniMax-M2.5", ""): "MiniMaxAI/MiniMax-M2.5",
    ("MiniMax-M2.5", "fp4"): "nvidia/MiniMax-M2.5-NVFP4",
    ("Kimi-K2.5", ""): "moonshotai/Kimi-K2.5",
    ("Kimi-K2.5", "fp4"): "nvidia/Kimi-K2.5-NVFP4",
}
#: Formats that the peer takes as modes of a dense checkpoint.
MODES = {"fp8": "fp8", "fp4": "nvfp4", "int4": "int4_wo"}
DENSE = ("Llama-3.1-8B-Instruct", "Llama-3.1-70B", "Qwen3-32B")


def worker() -> None:
    """In the peer's own interpreter: questions on standard input, a line of JSON an answer."""
    import logging

    from aiconfigurator.cli.api import cli_estimate

    logging.disable(logging.CRITICAL)
    for line in sys.stdin:
        try:
            found = cli_estimate(**json.loads(line))
            if found.kv_cache_warning:  # it counts requests that its own cache does not hold: no answer of its own
                raise OverflowError("more requests than its cache holds")
            answer = {"ttft_mean_s": found.ttft / 1000, "tpot_mean_s": found.tpot / 1000}
        except Exception as error:  # whatever a peer raises is "not answered"
            answer = {"error": f"{type(error).__name__}: {error}"[:200]}
        print("ANSWER " + json.dumps(answer), flush=True)


def questions(engine: str, mode: str) -> Iterator[tuple[dict, object, dict[str, float]]]:
    """The peer's question, our own, and what was measured, for each row that counts."""
    from infrascale.calibration.residuals import excluded, shipped_rows, warm_up
    from infrascale.parsing.measurements import asked
    from infrascale.parsing.tables import number

    for row in shipped_rows()["aic_silicon"]:
        if row["engine"] != engine or row["load_kind"] != "closed" or excluded(row) or "DISAGG" in row["notes"]:
            continue
        measured = {m: number(row, m) for m in ("tpot_mean_s", "ttft_mean_s")}
        if warm_up(row):
            measured["ttft_mean_s"] = None
        ours = asked(row)
        name, precision, shard = row["model"].split("/")[-1], row["weight_precision"], ours.deployment.shard
        name = name.replace("-NVFP4", "").replace("V3.1", "V3")
        question = {
            "model_path": MODELS.get((name, precision)) or MODELS[name, ""],
            "system_name": SYSTEMS[row["gpu"]],
            "backend_name": engine,
            "database_mode": mode,
            "isl": round(ours.workload.isl_tokens),
            "osl": round(ours.workload.osl_tokens),
            "batch_size": max(1, round((ours.concurrency or 1) / shard.dp)),
            "tp_size": shard.tp,
            "pp_size": shard.pp,
            "attention_dp_size": shard.dp,
        }
        if name in DENSE:
            if precision in MODES:
                question |= {"gemm_quant_mode": MODES[precision]}
        else:
            question |= {"moe_ep_size": shard.ep, "moe_tp_size": shard.tp * shard.dp // shard.ep}
        yield question, ours, {m: v for m, v in measured.items() if v}


def answers(peer: str, asked: Iterable[dict]) -> Iterator[dict]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([peer, __file__, "--worker"], text=True, **pipes) as running:
        for question in asked:
            running.stdin.write(json.dumps(question) + "\n")
            running.stdin.flush()
            line = running.stdout.readline()
            while line and not line.startswith("ANSWER "):
                line = running.stdout.readline()
            yield json.loads(line.removeprefix("ANSWER ") or '{"error": "the peer died"}')
        running.stdin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, help="a Python that has aiconfigurator")
    parser.add_argument("--engine", action="append", help="vllm, sglang, trtllm; repeat (all)")
    parser.add_argument("--mode", default="SILICON", help="the peer's: SILICON (its tables), HYBRID (and formulas)")
    parser.add_argument("--every", type=int, default=1, help="take one row in so many: the peer needs a second each")
    parser.add_argument("--failures", action="store_true", help="say what the peer did not answer, and why")
    options = parser.parse_args()
    from rich.console import Console
    from rich.progress import track

    from infrascale.predicting import predict

    print(f"{'closed loop':<10}{'measure':<14}{'rows':>6}   {'InfraScale':<24}aiconfigurator, where it answers")
    for engine in options.engine or ("vllm", "sglang", "trtllm"):
        rows = list(questions(engine, options.mode))[:: options.every]
        asked = (question for question, _, _ in rows)
        found = list(track(answers(options.peer, asked), engine, len(rows), console=Console(stderr=True)))
        ours = [predict(one).measures for _, one, _ in rows]
        for measure in ("tpot_mean_s", "ttft_mean_s"):
            own, both, theirs = [], [], []
            for (_, _, measured), mine, other in zip(rows, ours, found, strict=True):
                if measure not in measured:
                    continue
                own.append(abs(mine[measure] / measured[measure] - 1))
                if measure in other:
                    both.append(own[-1])
                    theirs.append(abs(other[measure] / measured[measure] - 1))
            share = f"{len(theirs) / len(own):.0%} answered; there {_errors(theirs)}, ours {_errors(both)}"
            print(f"{engine:<10}{measure:<14}{len(own):>6}   {_errors(own):<24}{share}")
        if options.failures:
            reasons: dict[str, int] = {}
            for one in found:
                if "error" in one:
                    reasons[one["error"]] = reasons.get(one["error"], 0) + 1
            for why, count in sorted(reasons.items(), key=lambda pair: -pair[1])[:12]:
                print(f"    {count} × {why}")


def _errors(errors: list[float]) -> str:
    return f"{mean(errors):.1%} / {median(errors):.1%}" if errors else "–"


if __name__ == "__main__":
    worker() if "--worker" in sys.argv else main()
