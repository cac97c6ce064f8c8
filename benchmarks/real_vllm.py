"""A real vLLM driven and predicted: its step times learnt from a few runs, everything else simulated.

    python benchmarks/real_vllm.py --vllm PATH/bin/vllm [--short] [--out rows.json]

PATH is an environment with vLLM in it (its CPU build will do). The server gets a tiny Llama-shaped model with random
weights, written here, so nothing is fetched. Learnt: how long a step takes by prompt tokens, decoding sequences and
context, and what lies before the queue (HTTP, hand-over), from requests alone and from equal batches. Predicted, from
the moments at which requests were really sent: open loops at several rates, a closed loop, and a cache so tight that
requests are preempted. Printed: measured beside simulated and the analytic queue.
Two cores are one for the engine and one for the front end and this driver. What else the machine does makes all steps
longer alike, so the same reference batch runs every few seconds, while learning too, and its pace is the unit of time:
everything measured between two of them is divided by theirs over the one of learning.
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
#: Between two reference batches; between two looks at the server's gauges, the first and last of which do not count.
PIECE_S, LOOK_S = 10.0, 0.5
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

    @property
    def gaps_s(self) -> np.ndarray:
        return np.diff(self.chunks_s)

    def at_pace(self, pace: float) -> Sent:
        """As if steps had taken so many times less: the same film, played faster."""
        return Sent(self.isl, self.osl, self.at_s / pace, [at / pace for at in self.chunks_s])


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


def step_s(batch: list[Sent]) -> float | None:
    """A decoding step of equal requests sent at once, while all of them decode; None: too few to say."""
    begin, end = max(one.chunks_s[0] for one in batch), min(one.chunks_s[-1] for one in batch)
    steps = max(sum(begin < at <= end for at in one.chunks_s) for one in batch)
    return (end - begin) / steps if steps >= 8 else None


def batch_of(seqs: int, isl: int, osl: int, rng: np.random.Generator) -> float | None:
    batch = [Sent(isl=isl, osl=osl) for _ in range(seqs)]
    asyncio.run(open_loop(batch, np.zeros(seqs), rng))
    return step_s(batch)


def reference_s(rng: np.random.Generator) -> float:
    """The machine's pace now: a decoding step of eight, the middle one of three batches."""
    steps = [found for _ in range(3) if (found := batch_of(8, 64, 48, rng)) is not None]
    if not steps:
        raise SystemExit("the server answers in lumps of many tokens: the machine is too busy to measure anything")
    return float(np.median(steps))


def learn(rng: np.random.Generator, repeats: int) -> tuple[Learnt, float]:
    """From equal batches, whose decoding steps are all alike, and from prompts alone; and the pace of the machine, in
    which all of them are counted."""
    rows, times, paces = [], [], []
    for _ in range(repeats):
        for seqs in (1, 2, 4, 8, 16):
            pace = reference_s(rng)
            for isl in (16, 384):
                if (found := batch_of(seqs, isl, 48, rng)) is not None:
                    rows.append([1, seqs, seqs * (isl + 24)])
                    times.append(found / pace)
            paces.append(pace)
    usual_s = float(np.median(paces))
    weights = 1 / (usual_s * np.array(times))  # relative errors count alike
    (fixed, seq, context), *_ = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(times)), rcond=None)
    context = max(0.0, context)
    lengths = (16, 128, 256, 384, 496)
    alone: dict[int, list[float]] = {isl: [] for isl in lengths}
    for _ in range(repeats):
        pace = reference_s(rng) / usual_s
        for isl in 3 * lengths:
            one = Sent(isl=isl, osl=1)
            asyncio.run(open_loop([one], np.zeros(1), rng))
            alone[isl].append(one.ttft_s / pace)
    firsts = [float(np.median(alone[isl])) - context * isl / 2 for isl in lengths]
    slope, start = np.polyfit(lengths, firsts, 1)
    learnt = Learnt(float(fixed), float(slope), float(seq), float(context), max(0.0, float(start - fixed)))
    return learnt, usual_s


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


def replayed(sent: list[Sent], learnt: Learnt, settings: Settings) -> tuple[dict[str, list], int, list[float]]:
    """The same requests at the same moments through the simulated scheduler: what each felt; preemptions; and who ran,
    a look every LOOK_S."""
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
    done = sorted(simulate(asked, learnt.timer, settings, moments.append), key=lambda request: request.index)
    times_s = token_times_s(moments, learnt, settings.async_scheduling)
    felt = [Sent(r.isl_tokens, r.osl_tokens, r.arrival_ps / PS_PER_S - learnt.front_s, times_s[r.index]) for r in done]
    starts = np.array([moment.start_ps for moment in moments]) / PS_PER_S
    looks = np.arange(2 * LOOK_S, max(one.chunks_s[-1] for one in felt) - LOOK_S, LOOK_S)
    running = [moments[place - 1].running_seqs for place in np.searchsorted(starts, looks, side="right")]
    return all_of(felt), sum(r.preemptions for r in done), running


def token_times_s(moments: list[Moment], learnt: Learnt, ahead: bool) -> dict[int, list[float]]:
    """When each request's tokens came, by its index: at the end of their steps. A step that was chosen ahead begins
    when the next one is chosen."""
    times: dict[int, list[float]] = {}
    for place, moment in enumerate(moments):
        if not moment.step.shares:
            continue
        begin = moments[place + ahead].start_ps
        end_ps = begin + round(learnt.timer(moment.step.batch()) * PS_PER_S)
        for index, share in moment.step.shares.items():
            if share.yields:
                times.setdefault(index, []).append(end_ps / PS_PER_S)
    return times


def all_of(sent: list[Sent]) -> dict[str, list]:
    """What was felt, of all but the first and last eighth."""
    kept = sent[len(sent) // 8 : len(sent) - len(sent) // 8]
    felt = {key: [getattr(one, f"{key}_s") for one in kept] for key in ("ttft", "tpot", "e2e")}
    return felt | {"itl": [gap for one in kept for gap in one.gaps_s]}


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


async def watched(work, series: list[float]) -> None:
    """The work, with looks at who runs, by the server's own gauge."""
    task = asyncio.ensure_future(work)
    seen = []
    while not task.done():
        await asyncio.wait([task], timeout=LOOK_S)
        seen.append((await asyncio.to_thread(counters)).get("vllm:num_requests_running", 0.0))
    task.result()
    series += seen[1:-1]


def quantiles(values: list[float]) -> dict[str, float]:
    found = {f"p{100 * q:g}": float(np.quantile(values, q)) for q in (0.5, 0.9, 0.95, 0.99)}
    return {"mean": float(np.mean(values))} | found


def joined(pieces: list[dict[str, list]]) -> dict[str, dict[str, float]]:
    return {key: quantiles([value for piece in pieces for value in piece[key]]) for key in pieces[0]}


def run_case(case: Case, learnt: Learnt, usual_s: float, ahead: bool, seconds: float, rng: np.random.Generator) -> dict:
    """In pieces, each between two reference batches and at their pace. `rate`s are at the pace of learning."""
    replica, settings = analytic(case, learnt, ahead), settings_of(case, ahead)
    most = replica.most_request_per_s
    rate = case.rate * most if case.rate else most
    pieces = max(1, round(seconds / PIECE_S))
    count = max(20, int(rate * seconds / pieces))
    measured, simulated, paces, ran, would_run = [], [], [], [], []
    preempted = {"measured": 0.0, "simulated": 0}
    before = reference_s(rng) / usual_s
    for _ in range(pieces):
        sent = [Sent(int(rng.integers(*case.isl)), int(rng.integers(*case.osl))) for _ in range(count)]
        counted = counters().get("vllm:num_preemptions_total", 0.0)
        if case.rate:
            asyncio.run(watched(open_loop(sent, rng.exponential(before / rate, count), rng), ran))
        else:
            asyncio.run(watched(closed_loop(sent, case.clients, rng), ran))
        preempted["measured"] += counters().get("vllm:num_preemptions_total", 0.0) - counted
        after = reference_s(rng) / usual_s
        paces.append((before + after) / 2)
        before = after
        sent = [one.at_pace(paces[-1]) for one in sent]
        asked = sent if case.rate else closed_again(sent, case.clients, learnt, settings)
        felt, lost, running = replayed(asked, learnt, settings)
        measured.append(all_of(sent))
        simulated.append(felt)
        preempted["simulated"] += lost
        would_run += running
    if case.rate:
        told = replica.under(Arrivals(request_per_s=rate)).performance
    else:
        told = replica.under_users(case.clients, 0.0).performance
    spreads = {"ttft": told.ttft_s, "tpot": told.tpot_s, "e2e": told.e2e_s}
    spreads |= {"itl": told.itl_s} if told.itl_s else {}
    return {
        "case": case.name,
        "requests": pieces * count,
        "request_per_s": rate,
        "paces": paces,
        "measured": joined(measured),
        "simulated": joined(simulated),
        "analytic": {
            key: {"mean": spread.mean_s, **{f"p{100 * q:g}": s for q, s in spread.quantiles_s.items()}}
            for key, spread in spreads.items()
        },
        "running": {"measured": mean(ran), "simulated": mean(would_run), "analytic": told.running_seqs},
        "preemptions": preempted,
    }


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def measure(vllm: Path, seconds: float, repeats: int, cases: tuple[Case, ...] = CASES, seed: int = 1) -> dict:
    """Everything: the learnt step times, and one row a case."""
    rng = np.random.default_rng(seed)
    rows, known, ahead = [], None, False
    for blocks in dict.fromkeys(case.blocks for case in cases):
        with server(vllm, blocks) as log:
            ahead = "synchronous scheduling is enabled" in Path(log).read_text()
            asyncio.run(open_loop([Sent(isl=64, osl=32) for _ in range(8)], np.zeros(8), rng))  # warm
            known = known or learn(rng, repeats)
            rows += [run_case(case, *known, ahead, seconds, rng) for case in cases if case.blocks == blocks]
    learnt, usual_s = known
    return {"learnt": asdict(learnt), "reference_s": usual_s, "async_scheduling": ahead, "rows": rows}


def printed(found: dict) -> None:
    ms = {key: f"{1000 * value:.4g} ms" for key, value in found["learnt"].items()}
    print(", ".join(f"{key.removesuffix('_s')} {value}" for key, value in ms.items()), end="; ")
    print(f"async scheduling {'on' if found['async_scheduling'] else 'off'}")
    print(f"\n{'ms':<26}{'mean':>9}{'p50':>9}{'p90':>9}{'p95':>9}{'p99':>9}")
    for row in found["rows"]:
        slowest, fastest = max(row["paces"]), min(row["paces"])
        print(f"\n{row['case']}: {row['requests']} requests; steps took × {fastest:.2f} to {slowest:.2f} of the learnt")
        for key in ("ttft", "tpot", "itl", "e2e"):
            for who in ("measured", "simulated", "analytic"):
                if key not in row[who]:
                    continue
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
