"""Prefill and decode engines under random arrivals: two queues, one after the other.

In: a replica as prefill engine, one as decode engine, arrivals at each, what passes between.    Out: Performance.
Idea: a prefill engine is M/G/1 (Pollaczek & Khinchine; irregular gaps by Allen & Cunneen). Prompts that share a step
end together, so each also waits for those behind it that came while the same step ran: W becomes W · (1 + ρ/(1 + ρ)).
What leaves is as irregular as Marshall has it, ρ²·scv_s + (1 − ρ²)·scv_a, for Poisson and exponential prompts Poisson
again (Burke 1956); with it the decode engines are `queueing.Replica`s, which read one token of each prompt. Letting a
cache in costs the step under way and those scheduled.

    TTFT = front end + wait + prompt + hand-over + step under way + moving + a decode engine's own first token

Does not know: prefill engines held up by full decode engines, caches that wait for a link. The simulator does.
Source: Whitt's QNA, Bell System Technical Journal 62 (1983), eqs. 38 to 41.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from infrascale.serving.disaggregated import Pool
from infrascale.serving.lattice import lattice, spread_of
from infrascale.serving.pace import Pace
from infrascale.serving.performance import Performance, Saturated
from infrascale.serving.prompts import BESIDE, PHASE
from infrascale.serving.queueing import FRONT_S, Loaded, Replica
from infrascale.serving.routing import Arrivals, Router


@dataclass(frozen=True, kw_only=True)
class Tandem:
    """Alike engines of two roles. `moving_s`: a mean prompt's cache over a link; `handing_s`: all else in between."""

    replica: Replica
    prefill_engines: float
    decode_engines: float
    moving_s: float
    handing_s: float

    @property
    def prompts(self) -> tuple[float, float]:
        """How long a prompt holds its engine up [s]: alone, and its share of a full step."""
        one = self.replica
        pool, pace = (
            Pool(timer=one.timer, limits=one.limits, engines=1.0),
            Pace(one.timer, one.workload, one.limits.step_tokens),
        )
        together = max(1.0, one.limits.step_tokens // one.workload.new_tokens)
        alone_s, full_s = pool.prompt_s(one.workload), pool.prompt_s(one.workload, together)
        return alone_s * pace.times_mean, full_s / together * pace.times_mean

    @property
    def decoder(self) -> Replica:
        load = self.replica.workload
        return replace(self.replica, workload=replace(load, prefix_hit_fraction=1 - 1 / load.isl_tokens), pace=None)

    @property
    def most_request_per_s(self) -> float:
        """By both pools together."""
        read = self.prefill_engines / self.prompts[1]
        return min(read, self.decode_engines * self.decoder.most_request_per_s)

    def under(self, all_of: Arrivals, router: Router) -> Performance | Saturated:
        if all_of.request_per_s >= self.most_request_per_s * (1 - 1e-9):
            return Saturated(request_per_s=self.most_request_per_s / self.decode_engines)
        one = self.replica
        pace, (alone_s, share_s) = Pace(one.timer, one.workload, one.limits.step_tokens), self.prompts
        come = router(all_of, self.prefill_engines)
        busy = come.request_per_s * share_s
        wait_s = (come.scv + pace.prompt_scv) / 2 / ((1 / share_s - come.request_per_s) * come.pooled)
        if 2 * one.workload.new_tokens <= one.limits.step_tokens:
            wait_s *= 1 + busy / (1 + busy)
        leave = replace(all_of, scv=busy**2 * pace.prompt_scv + (1 - busy**2) * all_of.scv)
        found = self.decoder.under(router(leave, self.decode_engines))
        assert isinstance(found, Loaded)  # below the most of both
        return self._together(found, busy, wait_s, alone_s / pace.times_mean, pace.power)

    def _together(self, found: Loaded, busy: float, wait_s: float, prompt_s: float, power: float) -> Performance:
        """Each point's way through both."""
        one, host = self.decoder, self.replica.host
        isl, _ = one.lengths
        front_s = host.request_s - FRONT_S
        door_s = one.steps_at(max(1, round(found.running_seqs))).decode_s * min(1.0, found.running_seqs)
        first_s, whole_s = [], []
        for point, length, answered_s, all_s in zip(lattice(), isl, found.felt_s[0], found.felt_s[2], strict=True):
            idle = 1 - point[BESIDE]
            queued_s = -log(idle / busy) * wait_s if idle < busy else 0.0
            door = (1 - point[PHASE] + one.unseen_steps) * door_s
            passed_s = front_s + queued_s + prompt_s * length**power + self.handing_s + door + self.moving_s * length
            first_s.append(passed_s + answered_s)
            whole_s.append(passed_s + all_s)
        felt = replace(found, felt_s=(first_s, found.felt_s[1], whole_s)).performance
        waiting = found.request_per_s * (spread_of(first_s).mean_s - spread_of(found.felt_s[0]).mean_s)
        return replace(felt, waiting_seqs=felt.waiting_seqs + waiting)
