"""A sweep: every combination of a study.toml planned, into Parquet, on all cores or a Ray cluster, resumable.

In: study.toml.    Out: a folder of part-*.parquet, one row a combination, none twice and none lost.

    [base]    keys of a scenario that stay
    [sweep]   keys with a list each; all combinations are planned
    [prices]  per_gpu_hour = ["1.50eur", "2eur"]: each plan priced at each, without planning again

Idea: combinations are numbered; a part holds CHUNK of them and appears whole (written aside, synced, renamed). What is
there after a kill is kept, the rest is computed. Where it is computed is one function, `Engine`, so a cluster changes
nothing else. A combination that cannot be asked is a row with its error, not an end.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import islice
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infrascale import api
from infrascale.calibration.own import Calibration
from infrascale.economics.usage import HOURS_PER_MONTH
from infrascale.errors import FileError, InfraScaleError, ScenarioError
from infrascale.parsing.objectives import PLACE, preferred
from infrascale.parsing.plans import VERSION
from infrascale.parsing.prices import own_money
from infrascale.parsing.scenarios import Question, question, read_toml, scenario
from infrascale.planning import Plan, plan
from infrascale.planning.tables import Judges

CHUNK = 256  # plans of a part: seconds of work, so that a kill loses little
AHEAD = 4  # parts under way for each worker: none waits, and what is not yet written stays little
MOST_PLANS = 10_000_000
#: Keys of a promise and a demand: plans that differ in them alone share the tables of a deployment.
ASKS = (
    "tokens_per_s", "tpot_s", "speed_percentile", "ttft", "ttft_percentile", "users", "requests_per_user",
    "requests_per_user_hour", "think_s", "request_per_s", "agents", "adoption", "requests_per_day", "peak_hour",
    "redundancy", "headroom", "max_gpus", "max_kw",
)  # fmt: skip
RESTARTS = 3  # of the local workers, where the system kills one

Row = dict[str, Any]
Engine = Callable[["Study", Sequence[int]], Iterator[tuple[int, bytes]]]
Progress = Callable[[int, int], None]


class _Prices(BaseModel):
    model_config = ConfigDict(extra="forbid")

    per_gpu_hour: Annotated[list[str], Field(min_length=1, max_length=10_000)]


class _Study(BaseModel):
    model_config = ConfigDict(extra="forbid")

    base: dict[str, Any] = {}
    sweep: Annotated[dict[str, Annotated[list[Any], Field(min_length=1)]], Field(min_length=1)]
    prices: _Prices | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """`axes`: key and values, the last varies fastest. `prices`: amount of a GPU-hour and its currency.

    `own`: load tests that every plan rests on, as far as it is of their kin.
    """

    base: dict[str, Any]
    axes: tuple[tuple[str, tuple[Any, ...]], ...]
    prices: tuple[tuple[float, str], ...]
    own: Calibration | None = None

    @property
    def plans(self) -> int:
        return prod(len(values) for _, values in self.axes)

    @property
    def chunks(self) -> int:
        return -(-self.plans // CHUNK)

    @property
    def rows(self) -> int:
        return self.plans * max(1, len(self.prices))

    def combination(self, index: int) -> dict[str, Any]:
        """The swept keys of one plan: `index` in mixed radix. Two axes of 3 and 4 values: 5 is second and second."""
        found = {}
        for key, values in reversed(self.axes):
            index, place = divmod(index, len(values))
            found[key] = values[place]
        return dict(reversed(found.items()))

    @property
    def fingerprint(self) -> str:
        told = [VERSION, CHUNK, self.base, self.axes, self.prices, *([self.own] if self.own else ())]
        text = json.dumps(told, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def study(path: str, own: Calibration | None = None) -> Study:
    raw = read_toml(path)
    try:
        found = _Study.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        fix = '[base] keys of a scenario, [sweep] keys with lists, [prices] per_gpu_hour = ["2eur"]'
        raise ScenarioError(f"{path}: {where} cannot be so", why=first["msg"], fix=fix) from None
    unknown = [key for key in (*found.base, *found.sweep) if key not in Question.model_fields]
    both = sorted(set(found.base) & set(found.sweep))
    if unknown or both:
        why = f"{both[0]} is in base and in sweep" if both else f"no scenario has the key {unknown[0]}"
        raise ScenarioError(f"{path} asks nothing clear", why=why, fix=f"keys: {', '.join(Question.model_fields)}")
    priced = [own_money(word).middle for word in found.prices.per_gpu_hour] if found.prices else []
    made = Study(
        base=found.base,
        axes=tuple((key, tuple(found.sweep[key])) for key in sorted(found.sweep, key=_pace)),
        prices=tuple((one.amount, one.currency.value) for one in priced),
        own=own,
    )
    if made.plans > MOST_PLANS:
        raise ScenarioError(
            f"{made.plans:,} plans are too many", why=f"a study takes up to {MOST_PLANS:,}", fix="split it"
        )
    return made


def _pace(key: str) -> int:
    """Axes that change what a deployment does vary slowest, those that only ask more or less of it fastest."""
    return (key in (*ASKS, *PLACE)) + (key in PLACE)


def rows_of(asked: Study, chunk: int) -> list[Row]:
    """The rows of one chunk, in order."""
    first = chunk * CHUNK
    found: list[Row] = []
    for index in range(first, min(first + CHUNK, asked.plans)):
        keys = asked.combination(index)
        answer = _answer(asked.base | keys, asked.own)
        row = {"plan": index, **{key: _cell(value) for key, value in keys.items()}, **answer}
        if not asked.prices:
            found.append(row)
        for price, currency in asked.prices:
            cost = row["best_gpus"] * price * HOURS_PER_MONTH if row["feasible"] else None
            found.append({**row, "per_gpu_hour": price, "currency": currency, "cost_per_month": cost})
    return found


def part_of(asked: Study, chunk: int) -> bytes:
    """The same as a Parquet file, so that workers do the work and little travels; runs in a worker."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows, mixed = rows_of(asked, chunk), _mixed(asked)
    for row in rows:
        row.update({key: str(row[key]) for key in mixed})
    made = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_schema(asked)), made, compression="zstd")
    return made.getvalue().to_pybytes()


def _cell(value: Any) -> float | str:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


@cache
def _judges() -> Judges:
    """A worker's own."""
    return Judges()


def _answer(keys: dict[str, Any], own: Calibration | None) -> Row:
    try:
        asked = question(keys)
        scene = scenario(asked)
        law = api.curves(own, scene)
        found = plan(scene, law, elsewhere=None, judged=_judges())
        return _best(preferred(found, asked, law)) | {"error": None}
    except InfraScaleError as error:
        return dict.fromkeys(_best_columns()) | {"feasible": False, "error": f"{error.what}: {error.why}"}


def _best(plan: Plan) -> Row:
    best = plan.best
    if best is None:
        return dict.fromkeys(_best_columns()) | {"feasible": False}
    shard = best.deployment.shard
    return {
        "feasible": True,
        "best_gpu": best.deployment.gpu.id,
        "best_gpus": best.gpus,
        "replicas": best.replicas,
        "tp": shard.tp,
        "pp": shard.pp,
        "best_precision": best.deployment.quantization.precision,
        "max_batch": best.max_batch,
        "token_per_s_per_request": best.performance.token_per_s_per_request,
        "ttft_mean_s": best.performance.ttft_s.mean_s,
        "binds": best.binds.value,
    }


def _best_columns() -> dict[str, str]:
    """Columns of an answer and their Parquet types."""
    return {
        "feasible": "bool_", "best_gpu": "string", "best_gpus": "int64", "replicas": "int64", "tp": "int64",
        "pp": "int64", "best_precision": "string", "max_batch": "int64", "token_per_s_per_request": "float64",
        "ttft_mean_s": "float64", "binds": "string",
    }  # fmt: skip


def _schema(asked: Study) -> Any:
    import pyarrow as pa

    def of(values: Sequence[Any]) -> Any:
        return pa.float64() if all(isinstance(_cell(value), float) for value in values) else pa.string()

    fields = [("plan", pa.int64()), *((key, of(values)) for key, values in asked.axes)]
    fields += [(name, getattr(pa, kind)()) for name, kind in _best_columns().items()]
    fields += [("error", pa.string())]
    if asked.prices:
        fields += [("per_gpu_hour", pa.float64()), ("currency", pa.string()), ("cost_per_month", pa.float64())]
    return pa.schema(fields)


def run(asked: Study, out: str, engine: Engine, progress: Progress | None = None) -> int:
    """All parts into folder `out`; those that are there stay. Returns the plans computed now."""
    folder = _folder(asked, out)
    missing = [chunk for chunk in range(asked.chunks) if not (folder / _name(chunk)).exists()]
    kept = asked.chunks - len(missing)
    if progress:
        progress(kept, asked.chunks)
    for done, (chunk, part) in enumerate(engine(asked, missing), kept + 1):
        _write(folder, chunk, part)
        if progress:
            progress(done, asked.chunks)
    return sum(min(CHUNK, asked.plans - chunk * CHUNK) for chunk in missing)


def _mixed(asked: Study) -> list[str]:
    """Axes that hold a word are words throughout."""
    return [key for key, values in asked.axes if any(isinstance(_cell(value), str) for value in values)]


def _name(chunk: int) -> str:
    return f"part-{chunk:08d}.parquet"


def _folder(asked: Study, out: str) -> Path:
    """The folder, new or of this very study."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise ScenarioError(
            "a study needs PyArrow", why="it is not installed", fix="pip install 'infrascale[study]'"
        ) from None
    folder, mark = Path(out), Path(out) / "_study.json"  # readers of a folder of Parquet pass over such names
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if mark.exists():
            if json.loads(mark.read_text())["fingerprint"] != asked.fingerprint:
                raise FileError(
                    f"{out} holds another study",
                    why="its questions or the version of InfraScale differ, and rows would mix",
                    fix="give another --out",
                )
        elif any(folder.iterdir()):
            raise FileError(f"{out} is not empty", why="it holds no study", fix="give another --out")
        else:
            draft = folder / f".study.{os.getpid()}"
            draft.write_text(json.dumps({"fingerprint": asked.fingerprint, "plans": asked.plans, "rows": asked.rows}))
            draft.replace(mark)
    except (OSError, ValueError, KeyError) as error:
        raise FileError(f"{out} cannot be used", why=str(error), fix="give another --out") from None
    return folder


def _write(folder: Path, chunk: int, part: bytes) -> None:
    draft = folder / f".{_name(chunk)}.{os.getpid()}"
    try:
        with draft.open("wb") as file:
            file.write(part)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / _name(chunk))
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise FileError(f"{folder} cannot be written", why=str(error), fix="free space, then run it again") from None


def on_all_cores(asked: Study, chunks: Sequence[int], workers: int | None = None) -> Iterator[tuple[int, bytes]]:
    """An Engine: a process a core. Workers that the system kills are replaced, their chunks computed again."""
    left, workers = dict.fromkeys(chunks), workers or os.cpu_count() or 1
    for restart in range(RESTARTS + 1):
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            todo, tasks = iter(tuple(left)), {}
            try:
                while left:
                    for chunk in islice(todo, AHEAD * workers - len(tasks)):
                        tasks[pool.submit(part_of, asked, chunk)] = chunk
                    for task in wait(tasks, return_when=FIRST_COMPLETED).done:
                        part, chunk = task.result(), tasks.pop(task)
                        del left[chunk]
                        yield chunk, part
                return
            except BrokenProcessPool:
                if restart == RESTARTS:
                    raise ScenarioError(
                        "workers were killed again and again", why="the system may be out of memory",
                        fix="run the same command again: what is done is kept",
                    ) from None  # fmt: skip


def on_ray(address: str) -> Engine:
    """An Engine on a Ray cluster: tasks that Ray runs again elsewhere when a worker or a node is lost."""

    def engine(asked: Study, chunks: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        try:
            import ray
        except ImportError:
            raise ScenarioError(
                "Ray is not installed", why="--ray needs it", fix="pip install 'infrascale[ray]'"
            ) from None
        try:
            ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError) as error:
            raise ScenarioError(
                f"no Ray cluster at {address}",
                why=str(error).splitlines()[0][:200],
                fix="ray start --head, or its address",
            ) from None
        task = ray.remote(max_retries=-1)(part_of)
        shared, todo, waiting = ray.put(asked), iter(chunks), {}
        while True:
            workers = int(ray.cluster_resources().get("CPU", 1))
            for chunk in islice(todo, max(0, max(1, AHEAD * workers) - len(waiting))):
                waiting[task.remote(shared, chunk)] = chunk
            if not waiting:
                return
            ready, _ = ray.wait(list(waiting), num_returns=1)
            for one in ready:
                yield waiting.pop(one), ray.get(one)

    return engine
