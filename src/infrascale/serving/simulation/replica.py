"""One replica on a virtual clock: schedule, run, postprocess, until nobody is left.

In: requests, a StepTimer, Settings.    Out: the requests with their times, and every step when asked for.
The clock counts picoseconds. Asynchronous scheduling chooses a step while the one before it runs: it then knows only
who had arrived, and what had been answered, when that one began.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from infrascale.deployment import StepTimer
from infrascale.errors import ScenarioError
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.serving.simulation.scheduler import Scheduler, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A step as it happened: when it was chosen, what it carries, and the replica's state right after the choice."""

    start_ps: int
    step: Step
    running_seqs: int
    waiting_seqs: int
    free_blocks: int


def simulate(
    requests: Iterable[Request], timer: StepTimer, settings: Settings, watch: Callable[[Moment], None] | None = None
) -> list[Request]:
    """All requests served by one replica, as vLLM would. `watch` sees every step."""
    arrivals = sorted(requests, key=lambda request: (request.arrival_ps, request.index))
    for request in arrivals:
        check(request, settings)
    run = _Run(arrivals, timer, settings, watch)
    while run.goes_on():
        run.advance()
    return arrivals


def check(request: Request, settings: Settings) -> None:
    """Refuse what could never be served: vLLM does so when the request comes in."""
    needed = -(-(request.isl_tokens + request.osl_tokens - 1) // settings.block_size)
    if needed > settings.kv_blocks - 1:
        raise ScenarioError(
            f"a request of {request.isl_tokens + request.osl_tokens:,} tokens never fits",
            why=f"it needs {needed:,} cache blocks of {settings.kv_blocks - 1:,}",
            fix="shorten it, or give the replica more memory",
        )


class _Run:
    def __init__(
        self,
        arrivals: list[Request],
        timer: StepTimer,
        settings: Settings,
        watch: Callable[[Moment], None] | None,
    ) -> None:
        self.timer, self.settings, self.watch = timer, settings, watch
        self.scheduler = Scheduler(settings)
        self.clock_ps = 0
        self.coming = list(reversed(arrivals))
        self.under_way: Step | None = None

    def goes_on(self) -> bool:
        return bool(self.coming or not self.scheduler.is_empty)

    def advance(self) -> None:
        """One step: choose it, run it (with asynchronous scheduling, the one chosen before), take in its tokens."""
        if self.scheduler.is_empty:
            self.clock_ps = max(self.clock_ps, self.coming[-1].arrival_ps)
        while self.coming and self.coming[-1].arrival_ps <= self.clock_ps:
            self.scheduler.add(self.coming.pop())
        chosen = self._choose()
        if self.settings.async_scheduling:
            chosen, self.under_way = self.under_way, chosen
        if chosen is not None and chosen.shares:
            self.clock_ps += round(self.timer(chosen.batch()) * PS_PER_S)
            self.scheduler.update(chosen, self.clock_ps)

    def _choose(self) -> Step:
        step = self.scheduler.schedule()
        if self.watch is not None:
            self.watch(
                Moment(
                    start_ps=self.clock_ps,
                    step=step,
                    running_seqs=len(self.scheduler.running),
                    waiting_seqs=len(self.scheduler.waiting),
                    free_blocks=self.scheduler.pool.free_blocks,
                )
            )
        return step
