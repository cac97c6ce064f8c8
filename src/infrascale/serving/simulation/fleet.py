"""Replicas behind a router, simulated: arrays of requests in, their times out.

In: Requests, a StepTable, Settings, and the Fleet.    Out: Records.
When the router's choice depends on nothing but the request (round robin, sessions) and nobody dies or asks again, each
replica is a simulation of its own: they run one after another in little memory, on as many threads as there are cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

import numpy as np

from infrascale.errors import ScenarioError
from infrascale.serving.simulation.drive import drive
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.serving.simulation.routing import POLICIES, each_mixed
from infrascale.serving.simulation.state import ALIVE, NEVER, REQUEST, Replicas, knobs_of, replicas_of
from infrascale.serving.simulation.steptable import StepTable

MOST_PS = 2**62  # the clock's range: 53 days
LOOKS_S = 0.1  # between two calls of `progress`


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What is asked, one entry a request, in any order of time. Optional columns are empty where they say nothing.

    `stream`: requests of one conversation have the same; the text of a later one continues the earlier one's.
    `prefix`, `prefix_tokens`: the head that requests with the same prefix share. `follows`: the request that is sent
    `think_s` after this one is answered (its own `arrival_s` is then unused); −1: none. Smaller `priority` goes first.
    `delay_s`: between arrival and the scheduler's queue: the front end reads and tokenises. `loaded_tokens`: of the
    prompt, whose cache comes with the request, from a pool of prefill engines.
    """

    arrival_s: np.ndarray
    isl_tokens: np.ndarray
    osl_tokens: np.ndarray
    stream: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    prefix: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    prefix_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    priority: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    follows: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    think_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    delay_s: np.ndarray = field(default_factory=lambda: np.empty(0))
    loaded_tokens: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __len__(self) -> int:
        return self.arrival_s.shape[0]

    def only(self, which: np.ndarray) -> Requests:
        columns = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Requests(**{name: column[which] if column.shape[0] else column for name, column in columns.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A replica dies, or comes (back) to life. One whose first change is a birth is not there before."""

    at_s: float
    replica: int
    alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaler:
    """Replicas by what is in flight: see autoscaling.py."""

    least: int
    target_requests: float
    every_s: float
    lag_s: float
    calm_s: float

    def as_array(self) -> np.ndarray:
        """As the kernel takes it: picoseconds, and thousandths of a request."""
        every, lag, calm = (round(one * PS_PER_S) for one in (self.every_s, self.lag_s, self.calm_s))
        return np.array([every, lag, calm, round(1000 * self.target_requests), self.least, NEVER, 0], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """With a `scaler`, `replicas` are the most there can be."""

    replicas: int = 1
    policy: str = "round-robin"
    changes: tuple[Change, ...] = ()
    scaler: Scaler | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """By request, in the order asked. Times from the start; a request never answered has last_ps −1.

    `gaps`: gaps between tokens counted by length; class i reaches to `gap_edges_ps[i]`. `series`: [moment, replica,
    (running, waiting, used blocks, alive)] at `moments_s`. `running_s`: running sequences times seconds, by replica.
    """

    arrival_ps: np.ndarray
    first_ps: np.ndarray
    last_ps: np.ndarray
    isl_tokens: np.ndarray
    osl_tokens: np.ndarray
    preemptions: np.ndarray
    hit_tokens: np.ndarray
    replica: np.ndarray
    gaps: np.ndarray
    gap_edges_ps: np.ndarray
    moments_s: np.ndarray
    series: np.ndarray
    running_s: np.ndarray
    sent_again: int
    blocks: int

    def only(self, which: np.ndarray) -> Records:
        """The records of some requests, beside the state of all."""
        columns = {name: getattr(self, name)[which] for name in (*BY_REQUEST, "replica")}
        return replace(self, **columns)

    def in_tokens(self, isl_tokens: np.ndarray, osl_tokens: np.ndarray) -> Records:
        """Where requests were counted in other units: with the lengths that they really have."""
        return replace(self, isl_tokens=isl_tokens, osl_tokens=osl_tokens)


def simulate_fleet(
    requests: Requests,
    table: StepTable,
    settings: Settings,
    fleet: Fleet = Fleet(),
    *,
    moments_s: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Records:
    """Serve all requests. `moments_s`: when to look at the replicas' state. `progress` is told how many requests of how
    many arrived, some times a second; what it raises ends the simulation."""
    check(requests, settings, fleet)
    moments_s = np.empty(0) if moments_s is None else moments_s
    watch = np.zeros((fleet.replicas, 2), dtype=np.int64)
    home = None
    if fleet.replicas > 1 and not fleet.changes and not fleet.scaler and not requests.follows.shape[0]:
        home = _homes(requests, fleet)

    def served() -> Records:
        if home is None:
            return _together(requests, table, settings, fleet, moments_s, watch[0])
        return _apart(requests, home, table, settings, fleet.replicas, moments_s, watch)

    return served() if progress is None else followed(served, watch, len(requests), progress)


def followed(
    served: Callable[[], Records], watch: np.ndarray, total: int, progress: Callable[[int, int], None]
) -> Records:
    """The simulation in a thread of its own, which leaves Python's lock to others, while this one tells of it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        running = pool.submit(served)
        try:
            while not running.done():
                wait([running], timeout=LOOKS_S)
                progress(min(total, int(watch[:, 0].sum())), total)
        finally:
            watch[:, 1] = 1
        return running.result()


def requests_in_plain(requests: Requests, settings: Settings) -> list[Request]:
    """The same requests for the plain mode."""
    asked = as_kernel(requests, settings)
    return [
        Request(
            index=i,
            arrival_ps=int(asked["arrival_ps"][i]),
            isl_tokens=int(asked["isl"][i]),
            osl_tokens=int(asked["osl"][i]),
            stream=int(asked["stream"][i]),
            prefix=-1 - int(asked["prefix"][i]),
            prefix_blocks=int(asked["prefix_blocks"][i]),
            priority=int(asked["priority"][i]),
            loaded_tokens=int(asked["loaded"][i]),
        )
        for i in range(len(requests))
    ]


def check(requests: Requests, settings: Settings, fleet: Fleet) -> None:
    if not len(requests):
        raise ScenarioError(
            "no request to simulate", why="the traffic is empty", fix="a longer duration or higher rate"
        )
    if fleet.policy not in POLICIES:
        raise ScenarioError(
            f"unknown routing {fleet.policy[:30]!r}", why="no policy has this name", fix=", ".join(POLICIES)
        )
    if not np.isfinite(requests.arrival_s).all() or (requests.arrival_s < 0).any():
        raise ScenarioError(
            "an arrival has no time", why="it is negative, infinite or not a number", fix="mend the trace"
        )
    if requests.arrival_s.max() * PS_PER_S > MOST_PS:
        raise ScenarioError(
            "the traffic is too long", why="the clock ends after 53 days", fix="simulate a shorter span"
        )
    if min(requests.isl_tokens.min(), requests.osl_tokens.min()) < 1:
        raise ScenarioError("a request is empty", why="isl and osl are at least one token", fix="mend the trace")
    if settings.max_num_batched_tokens < settings.max_num_seqs:
        raise ScenarioError(
            "more sequences than tokens a step",
            why=f"max_num_batched_tokens {settings.max_num_batched_tokens} < max_num_seqs {settings.max_num_seqs}",
            fix="vLLM refuses this too: raise the one or lower the other",
        )
    longest = int((requests.isl_tokens + requests.osl_tokens).max())
    needed = -(-(longest - 1) // settings.block_size)
    if needed > settings.kv_blocks - 1:
        raise ScenarioError(
            f"a request of {longest:,} tokens never fits",
            why=f"it needs {needed:,} cache blocks of {settings.kv_blocks - 1:,}",
            fix="shorten it, or give the replica more memory",
        )


def as_kernel(requests: Requests, settings: Settings) -> np.ndarray:
    """Requests and the room for their results, as the kernel takes them."""
    asked = np.zeros(len(requests), dtype=REQUEST)
    asked["isl"], asked["osl"] = requests.isl_tokens, requests.osl_tokens
    asked["stream"] = requests.stream if requests.stream.shape[0] else np.arange(len(requests))
    asked["first_ps"] = asked["last_ps"] = asked["replica"] = asked["follows"] = -1
    delay_ps = delay_of(requests)
    asked["arrival_ps"] = np.rint(requests.arrival_s * PS_PER_S) + delay_ps
    if requests.prefix_tokens.shape[0]:
        asked["prefix"], asked["prefix_blocks"] = requests.prefix, requests.prefix_tokens // settings.block_size
    if requests.priority.shape[0]:
        asked["priority"] = requests.priority
    if requests.loaded_tokens.shape[0]:
        asked["loaded"] = requests.loaded_tokens
    if requests.follows.shape[0]:
        asked["follows"] = requests.follows
        asked["think_ps"] = np.rint(requests.think_s * PS_PER_S) + delay_ps[requests.follows]
        asked["arrival_ps"][requests.follows[requests.follows >= 0]] = NEVER
    return asked


def delay_of(requests: Requests) -> np.ndarray:
    """What the front end takes, request by request."""
    if not requests.delay_s.shape[0]:
        return np.zeros(len(requests), dtype=np.int64)
    return np.rint(requests.delay_s * PS_PER_S).astype(np.int64)


def must_follow_blocks(asked: np.ndarray, settings: Settings) -> bool:
    """Whether requests can find each other's cache: else the number of blocks says all, until one is preempted."""
    shared = bool((asked["prefix_blocks"] > 0).any()) or np.unique(asked["stream"]).shape[0] < asked["stream"].shape[0]
    return settings.prefix_caching and shared


def _together(
    requests: Requests, table: StepTable, settings: Settings, fleet: Fleet, moments_s: np.ndarray, watch: np.ndarray
) -> Records:
    """All replicas on one clock."""
    asked = as_kernel(requests, settings)
    by_block = must_follow_blocks(asked, settings)
    while True:
        x = replicas_of(
            fleet.replicas, settings, int(asked["osl"].max()), int((asked["isl"] + asked["osl"]).max()), by_block
        )
        for change in {c.replica: c for c in reversed(_in_order(fleet))}.values():
            x.now[change.replica, ALIVE] = not change.alive
        if fleet.scaler is not None:
            x.now[fleet.scaler.least :, ALIVE] = 0
        series = np.zeros((moments_s.shape[0], fleet.replicas, 4), dtype=np.int64)
        again = _run(asked, x, table, settings, fleet, by_block, moments_s, series, watch)
        if again >= 0:
            return _records(requests, asked, x, moments_s, series, settings, again)
        by_block, asked = True, as_kernel(requests, settings)


def _in_order(fleet: Fleet) -> list[Change]:
    return sorted(fleet.changes, key=lambda change: change.at_s)


def _run(
    asked: np.ndarray,
    x: Replicas,
    table: StepTable,
    settings: Settings,
    fleet: Fleet,
    by_block: bool,
    moments_s: np.ndarray,
    series: np.ndarray,
    watch: np.ndarray,
) -> int:
    own = np.flatnonzero(asked["arrival_ps"] != NEVER)
    order = own[np.argsort(asked["arrival_ps"][own], kind="stable")]
    changes = _in_order(fleet)
    heap = asked.shape[0] + 1 if changes or order.shape[0] < asked.shape[0] else 1
    return drive(
        asked,
        x,
        knobs_of(settings, by_block),
        table,
        order,
        POLICIES[fleet.policy],
        np.array([round(change.at_s * PS_PER_S) for change in changes], dtype=np.int64),
        np.array([change.replica for change in changes], dtype=np.int64),
        np.array([change.alive for change in changes], dtype=np.int64),
        fleet.scaler.as_array() if fleet.scaler else np.empty(0, dtype=np.int64),
        np.full(fleet.replicas if fleet.scaler else 0, NEVER, dtype=np.int64),
        np.rint(moments_s * PS_PER_S).astype(np.int64),
        series,
        np.empty(heap, dtype=np.int64),
        np.empty(heap, dtype=np.int64),
        np.empty(heap, dtype=np.int64),
        settings.kv_blocks - 1,
        watch,
    )


def _records(
    requests: Requests,
    asked: np.ndarray,
    x: Replicas,
    moments_s: np.ndarray,
    series: np.ndarray,
    settings: Settings,
    again: int,
) -> Records:
    return Records(
        arrival_ps=asked["arrival_ps"] - delay_of(requests),
        first_ps=asked["first_ps"],
        last_ps=asked["last_ps"],
        isl_tokens=asked["isl"],
        osl_tokens=asked["osl"],
        preemptions=asked["preemptions"],
        hit_tokens=asked["hit_tokens"],
        replica=asked["replica"],
        gaps=x.gaps.sum(axis=0),
        gap_edges_ps=x.gap_edges_ps,
        moments_s=moments_s,
        series=series,
        running_s=x.busy[:, 0].copy(),
        sent_again=again,
        blocks=settings.kv_blocks - 1,
    )


def _homes(requests: Requests, fleet: Fleet) -> np.ndarray | None:
    """The replica of every request while all are alive, where the policy looks at nothing but the request."""
    if fleet.policy in ("round-robin", "random"):
        at_the_router = requests.arrival_s + (requests.delay_s if requests.delay_s.shape[0] else 0.0)
        home = np.empty(len(requests), dtype=np.int32)
        turns = np.arange(len(requests), dtype=np.int32)
        if fleet.policy == "random":
            turns = each_mixed(len(requests))
        home[np.argsort(at_the_router, kind="stable")] = turns % fleet.replicas
        return home
    if fleet.policy == "session":
        stream = requests.stream.astype(np.int64) if requests.stream.shape[0] else np.arange(len(requests))
        with np.errstate(over="ignore"):
            mixed = (stream * np.int64(0x9E3779B97F4A7C1)) & np.int64(0x7FFFFFFFFFFFFFFF)
        return ((mixed >> 24) % fleet.replicas).astype(np.int32)
    return None


def _apart(
    requests: Requests,
    home: np.ndarray,
    table: StepTable,
    settings: Settings,
    replicas: int,
    moments_s: np.ndarray,
    watch: np.ndarray,
) -> Records:
    """Each replica a simulation of its own; their records put together."""
    order = np.argsort(home, kind="stable")
    ends = np.searchsorted(home[order], np.arange(replicas + 1))
    whole: dict[str, np.ndarray] = {}
    gaps, series = 0, np.zeros((moments_s.shape[0], replicas, 4), dtype=np.int64)
    running_s = np.zeros(replicas)

    def serve(r: int) -> Records | None:
        mine = requests.only(order[ends[r] : ends[r + 1]])
        return _together(mine, table, settings, Fleet(), moments_s, watch[r]) if len(mine) else None

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for r, found in enumerate(pool.map(serve, range(replicas))):
            if found is None:
                series[:, r, 3] = 1
                continue
            for name in BY_REQUEST:
                column = getattr(found, name)
                whole.setdefault(name, np.empty(len(requests), column.dtype))[order[ends[r] : ends[r + 1]]] = column
            gaps, edges, running_s[r] = gaps + found.gaps, found.gap_edges_ps, found.running_s[0]
            series[:, r] = found.series[:, 0]
    return Records(
        **whole,
        replica=home,
        gaps=gaps,
        gap_edges_ps=edges,
        moments_s=moments_s,
        series=series,
        running_s=running_s,
        sent_again=0,
        blocks=settings.kv_blocks - 1,
    )


BY_REQUEST = ("arrival_ps", "first_ps", "last_ps", "isl_tokens", "osl_tokens", "preemptions", "hit_tokens")
