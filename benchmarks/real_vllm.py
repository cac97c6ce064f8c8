"""A real vLLM driven and predicted: its step times learnt from a few runs, everything else simulated.

    python benchmarks/real_vllm.py --vllm PATH/bin/vllm [--short] [--out rows.json]

PATH is an environment with vLLM in it (its CPU build will do). The server gets a tiny Llama-shaped model with random
weights, written here, so nothing is fetched. Learnt: how long a step takes by prompt tokens, decoding sequences and
context, and what lies before the queue (HTTP, hand-over), from requests alone and from equal batches. Predicted, from
the moments at which requests were really sent: open loops at several rates, a closed loop, and a cache so tight that
requests are preempted. Printed: measured beside simulated and the analytic queue.
The machine should have nothing else to do: two cores are one for the engine and one for the front end and this driver.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from infrascale.hardware import Host
from infrascale.serving import Limits
from infrascale.serving.queueing import Replica
from infrascale.serving.routing import Arrivals
from infrascale.serving.simulation.replica import Moment, simulate
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.work import Batch
from infrascale.workload import Workload

HOST, PORT = "127.0.0.1", 8117
MOST_SEQS, MOST_TOKENS, BLOCK = 16, 512, 32  # blocks of 32: what its CPU kernels take
VOCABULARY = 8000
TOKENIZER = """
import sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, PreTrainedTokenizerFast
words = {f"w{i}": i for i in range(8000)} | {"<unk>": 8000, "<s>": 8001, "</s>": 8002}
tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
).save_pretrained(sys.argv[1])
LlamaConfig(
    architectures=["LlamaForCausalLM"], vocab_size=8064, hidden_size=512, intermediate_size=1536, num_hidden_layers=8,
    num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=8001, eos_token_id=8002,
    torch_dtype="bfloat16",
).save_pretrained(sys.argv[1])
"""


# --- the server -----------------------------------------------------------------------------------------------------


@contextmanager
def server(vllm: Path, blocks: int) -> Iterator[str]:
    """A server with this many cache blocks; the path of its log. Ended with all its children afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([vllm.parent / "python", "-c", TOKENIZER, folder], check=True, capture_output=True)
        log = Path(folder) / "log"
        words = [
            vllm, "serve", folder, "--served-model-name", "tiny", "--load-format", "dummy", "--dtype", "bfloat16",
            "--enforce-eager", "--host", HOST, "--port", PORT, "--max-model-len", 2048, "--max-num-seqs", MOST_SEQS,
            "--max-num-batched-tokens", MOST_TOKENS, "--num-gpu-blocks-override", blocks, "--block-size", BLOCK,
            "--no-enable-prefix-caching",
        ]  # fmt: skip
        settings = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "2"}
        with log.open("w") as out:
            process = subprocess.Popen(
                list(map(str, words)), stdout=out, stderr=out, env=os.environ | settings, start_new_session=True
            )
        try:
            _await(process, log)
            yield str(log)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _await(process: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit(f"vLLM did not start:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{PORT}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.5)
    raise SystemExit("vLLM did not start within five minutes")


def counters() -> dict[str, float]:
    """What the server counts of itself, by name."""
    with urllib.request.urlopen(f"http://{HOST}:{PORT}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    found: dict[str, float] = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            key = name.partition("{")[0]
            found[key] = found.get(key, 0.0) + float(value)
    return found


# --- requests -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Sent:
    """One request: its lengths, when it was sent, and when its chunks came."""

    isl: int
    osl: int
    at_s: float = 0.0
    chunks_s: list[float] = field(default_factory=list)

    @property
    def ttft_s(self) -> float:
        return self.chunks_s[0] - self.at_s

    @property
    def tpot_s(self) -> float:
        return (self.chunks_s[-1] - self.chunks_s[0]) / max(1, self.osl - 1)

    @property
    def e2e_s(self) -> float:
        return self.chunks_s[-1] - self.at_s


async def ask(sent: Sent, rng: np.random.Generator) -> None:
    """Send it as token ids, so that nothing is tokenised, and note when each chunk comes."""
    prompt = rng.integers(0, VOCABULARY, sent.isl).tolist()
    body = json.dumps(
        {
            "model": "tiny",
            "prompt": prompt,
            "max_tokens": sent.osl,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
        }
    ).encode()
    reader, writer = await asyncio.open_connection(HOST, PORT)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    sent.at_s = time.perf_counter()
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    while line := await reader.readline():
        if line.startswith(b"data: {"):
            sent.chunks_s.append(time.perf_counter())
    writer.close()
    if not sent.chunks_s:
        raise SystemExit("the server answered a request with nothing")


async def open_loop(requests: list[Sent], gaps_s: np.ndarray, rng: np.random.Generator) -> None:
    """Each after its gap, whatever became of the others."""
    async with asyncio.TaskGroup() as tasks:
        begun = time.perf_counter()
        for sent, due_s in zip(requests, np.cumsum(gaps_s), strict=True):
            await asyncio.sleep(max(0.0, begun + due_s - time.perf_counter()))
            tasks.create_task(ask(sent, rng))


async def closed_loop(requests: list[Sent], clients: int, rng: np.random.Generator) -> None:
    """So many clients, each asking again as soon as it is answered."""
    waiting = iter(requests)

    async def client() -> None:
        for sent in waiting:
            await ask(sent, rng)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(client())


# --- learning -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Learnt:
    """A step takes fixed + prompt tokens · a + decoding sequences · b + tokens of context · c; what lies before it."""

    fixed_s: float
    prompt_token_s: float
    decode_seq_s: float
    context_token_s: float
    front_s: float

    def timer(self, batch: Batch) -> float:
        pairs = batch.prefill_past_tokens + (batch.prefill_tokens / 2 if batch.prefill_seqs else 0.0)
        return (
            self.fixed_s
            + self.prompt_token_s * batch.prefill_tokens
            + self.decode_seq_s * batch.decode_seqs
            + self.context_token_s * (batch.context_tokens + pairs * batch.prefill_seqs)
        )


def learn(rng: np.random.Generator, repeats: int) -> Learnt:
    """From equal batches, whose decoding steps are all alike, and from prompts alone."""
    rows, times = [], []
    for seqs in (1, 2, 4, 8, 16):
        for isl in (16, 384):
            for _ in range(repeats):
                batch = [Sent(isl=isl, osl=48) for _ in range(seqs)]
                asyncio.run(open_loop(batch, np.zeros(seqs), rng))
                begin, end = max(one.chunks_s[0] for one in batch), min(one.chunks_s[-1] for one in batch)
                steps = max(sum(begin < at <= end for at in one.chunks_s) for one in batch)
                if steps >= 8:
                    rows.append([1, seqs, seqs * (isl + 24)])
                    times.append((end - begin) / steps)
    weights = 1 / np.array(times)  # relative errors count alike
    (fixed, seq, context), *_ = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(times)), rcond=None)
    context = max(0.0, context)
    lengths = (16, 128, 256, 384, 496)
    firsts = []
    for isl in lengths:
        alone = []
        for _ in range(3 * repeats):
            one = Sent(isl=isl, osl=1)
            asyncio.run(open_loop([one], np.zeros(1), rng))
            alone.append(one.ttft_s)
        firsts.append(float(np.median(alone)) - context * isl / 2)
    slope, start = np.polyfit(lengths, firsts, 1)
    return Learnt(float(fixed), float(slope), float(seq), float(context), max(0.0, float(start - fixed)))


def pace(learnt: Learnt, rng: np.random.Generator) -> float:
    """A batch of eight, now, over what was learnt: 1 on a machine that has nothing else to do."""
    batch = [Sent(isl=64, osl=40) for _ in range(8)]
    asyncio.run(open_loop(batch, np.zeros(8), rng))
    begin, end = max(one.chunks_s[0] for one in batch), min(one.chunks_s[-1] for one in batch)
    steps = max(sum(begin < at <= end for at in one.chunks_s) for one in batch)
    return (end - begin) / steps / learnt.timer(Batch(decode_seqs=8, context_tokens=8 * 84))


# --- predicting -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    blocks: int
    rate: float = 0.0  # of what the batch sustains, as a share; 0: a closed loop
    clients: int = 0
    isl: tuple[int, int] = (32, 320)
    osl: tuple[int, int] = (16, 96)


CASES = (
    Case("open, 30 %", 2000, rate=0.3),
    Case("open, 60 %", 2000, rate=0.6),
    Case("open, 80 %", 2000, rate=0.8),
    Case("closed, 8 clients", 2000, clients=8),
    Case("closed, 24 clients", 2000, clients=24),
    Case("tight cache, closed, 24", 90, clients=24, osl=(64, 192)),
)


def settings_of(case: Case, ahead: bool) -> Settings:
    return Settings(
        kv_blocks=case.blocks, max_num_seqs=MOST_SEQS, max_num_batched_tokens=MOST_TOKENS, block_size=BLOCK,
        prefix_caching=False, async_scheduling=ahead,
    )  # fmt: skip


def load_of(case: Case) -> Workload:
    def moments(span: tuple[int, int]) -> tuple[float, float]:
        return sum(span) / 2, (span[1] - span[0]) / 12**0.5 / (sum(span) / 2)

    (isl, isl_cv), (osl, osl_cv) = moments(case.isl), moments(case.osl)
    return Workload(isl_tokens=isl, osl_tokens=osl, isl_cv=isl_cv, osl_cv=osl_cv)


def analytic(case: Case, learnt: Learnt, ahead: bool) -> Replica:
    load = load_of(case)
    fits = (case.blocks - 1) * BLOCK / load.mean_context_tokens
    return Replica(
        timer=learnt.timer,
        workload=load,
        limits=Limits(max_num_seqs=MOST_SEQS, cached_seqs=fits, step_tokens=MOST_TOKENS),
        host=Host(step_s=0.0, seq_s=0.0, request_s=0.0, prompt_token_s=0.0),
        unseen_steps=1.0 if ahead else 0.0,
    )


def replayed(sent: list[Sent], learnt: Learnt, settings: Settings) -> tuple[dict[str, np.ndarray], int, float]:
    """The same requests at the same moments through the simulated scheduler; preemptions, and the mean running."""
    begun = min(one.at_s for one in sent)
    asked = [
        Request(
            index=i,
            arrival_ps=round((one.at_s - begun + learnt.front_s) * PS_PER_S),
            isl_tokens=one.isl,
            osl_tokens=one.osl,
            stream=i,
        )
        for i, one in enumerate(sent)
    ]
    moments: list[Moment] = []
    done = simulate(asked, learnt.timer, settings, moments.append)
    by_index = sorted(done, key=lambda request: request.index)
    front_ps = learnt.front_s * PS_PER_S
    first = np.array([r.first_ps - r.arrival_ps + front_ps for r in by_index]) / PS_PER_S
    whole = np.array([r.last_ps - r.arrival_ps + front_ps for r in by_index]) / PS_PER_S
    several = np.array([max(1, r.osl_tokens - 1) for r in by_index])
    spans = np.diff([moment.start_ps for moment in moments] + [max(r.last_ps for r in done)])
    running = float(np.average([moment.running_seqs for moment in moments], weights=np.maximum(spans, 0)))
    felt = {"ttft": first, "tpot": (whole - first) / several, "e2e": whole}
    return felt, sum(r.preemptions for r in done), running


def closed_again(sent: list[Sent], clients: int, learnt: Learnt, settings: Settings) -> list[Sent]:
    """When a closed loop would have sent its requests, simulated: the moments that its answers give, found by turns."""
    from infrascale.serving.simulation.replica import _Run

    requests = [
        Request(index=i, arrival_ps=0, isl_tokens=one.isl, osl_tokens=one.osl, stream=i) for i, one in enumerate(sent)
    ]
    for request in requests[:clients]:
        request.arrival_ps = round(learnt.front_s * PS_PER_S)
    run = _Run(requests[:clients], learnt.timer, settings, None)
    waiting, seen = iter(requests[clients:]), 0
    while run.goes_on():
        run.advance()
        ended = sum(request.is_finished for request in requests)
        for _ in range(ended - seen):
            if (following := next(waiting, None)) is not None:
                following.arrival_ps = run.clock_ps + round(learnt.front_s * PS_PER_S)
                run.coming.append(following)
                run.coming.sort(key=lambda request: -request.arrival_ps)
        seen = ended
    return [
        Sent(one.isl, one.osl, r.arrival_ps / PS_PER_S - learnt.front_s) for one, r in zip(sent, requests, strict=True)
    ]


async def watched(work, series: list[tuple[float, float]]) -> None:
    """The work, with a look at the server's own gauges twice a second."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait([task], timeout=0.5)
        seen = await asyncio.to_thread(counters)
        series.append((seen.get("vllm:num_requests_running", 0.0), seen.get("vllm:num_requests_waiting", 0.0)))
    task.result()


def quantiles(values: np.ndarray) -> dict[str, float]:
    found = {f"p{100 * q:g}": float(np.quantile(values, q)) for q in (0.5, 0.9, 0.95, 0.99)}
    return {"mean": float(values.mean())} | found


def run_case(case: Case, learnt: Learnt, ahead: bool, seconds: float, rng: np.random.Generator) -> dict:
    replica, settings = analytic(case, learnt, ahead), settings_of(case, ahead)
    most = replica.most_request_per_s
    rate = case.rate * most if case.rate else most
    count = max(20, int(rate * seconds))
    sent = [Sent(int(rng.integers(*case.isl)), int(rng.integers(*case.osl))) for _ in range(count)]
    before, series = counters(), []
    if case.rate:
        asyncio.run(watched(open_loop(sent, rng.exponential(1 / rate, count), rng), series))
        told = replica.under(Arrivals(request_per_s=rate)).performance
        asked = sent
    else:
        asyncio.run(watched(closed_loop(sent, case.clients, rng), series))
        told = replica.under_users(case.clients, 0.0).performance
        asked = closed_again(sent, case.clients, learnt, settings)
    preempted = counters().get("vllm:num_preemptions_total", 0.0) - before.get("vllm:num_preemptions_total", 0.0)
    felt, simulated_preempted, running = replayed(asked, learnt, settings)
    keep = slice(count // 8, count - count // 8)
    spreads = {"ttft": told.ttft_s, "tpot": told.tpot_s, "e2e": told.e2e_s}
    busy = [one for one, _ in series[1:-1]] or [0.0]
    return {
        "case": case.name,
        "requests": count,
        "request_per_s": rate,
        "measured": {key: quantiles(np.array([getattr(one, f"{key}_s") for one in sent[keep]])) for key in spreads},
        "simulated": {key: quantiles(values[keep]) for key, values in felt.items()},
        "analytic": {
            key: {"mean": spread.mean_s, **{f"p{100 * q:g}": s for q, s in spread.quantiles_s.items()}}
            for key, spread in spreads.items()
        },
        "running": {"measured": float(np.mean(busy)), "simulated": running, "analytic": told.running_seqs},
        "preemptions": {"measured": preempted, "simulated": simulated_preempted},
    }


def measure(vllm: Path, seconds: float, repeats: int, cases: tuple[Case, ...] = CASES, seed: int = 1) -> dict:
    """Everything: the learnt step times, and one row a case."""
    rng = np.random.default_rng(seed)
    rows, learnt, ahead = [], None, False
    for blocks in dict.fromkeys(case.blocks for case in cases):
        with server(vllm, blocks) as log:
            ahead = "synchronous scheduling is enabled" in Path(log).read_text()
            asyncio.run(open_loop([Sent(isl=64, osl=32) for _ in range(8)], np.zeros(8), rng))  # warm
            learnt = learnt or learn(rng, repeats)
            for case in (case for case in cases if case.blocks == blocks):
                before = pace(learnt, rng)
                row = run_case(case, learnt, ahead, seconds, rng)
                rows.append(row | {"pace": max(before, pace(learnt, rng))})
    return {"learnt": asdict(learnt), "async_scheduling": ahead, "rows": rows}


def printed(found: dict) -> None:
    ms = {key: f"{1000 * value:.4g} ms" for key, value in found["learnt"].items()}
    print(", ".join(f"{key.removesuffix('_s')} {value}" for key, value in ms.items()), end="; ")
    print(f"async scheduling {'on' if found['async_scheduling'] else 'off'}")
    print(f"\n{'ms':<26}{'mean':>9}{'p50':>9}{'p90':>9}{'p95':>9}{'p99':>9}")
    for row in found["rows"]:
        print(
            f"\n{row['case']}: {row['requests']} requests; pace of the machine × {row['pace']:.2f} of what was learnt"
        )
        for key in ("ttft", "tpot", "e2e"):
            for who in ("measured", "simulated", "analytic"):
                cells = "".join(f"{1000 * row[who][key][q]:>9.1f}" for q in ("mean", "p50", "p90", "p95", "p99"))
                print(f"  {key.upper() + ' ' + who:<24}{cells}")
        for what in ("running", "preemptions"):
            print(f"  {what:<24}" + ", ".join(f"{who} {value:.1f}" for who, value in row[what].items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vllm", type=Path, required=True)
    parser.add_argument("--short", action="store_true", help="a minute instead of ten: to see that it works")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    found = measure(options.vllm.absolute(), 12 if options.short else 90, 1 if options.short else 5)
    printed(found)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
