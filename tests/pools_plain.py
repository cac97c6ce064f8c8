"""Pools step by step: the plain mode's schedulers on one clock, an oracle that shares no code with drive_pools.py.

In: what `simulate_pools` is asked.    Out: every request at both pools, with its times.
Ties are broken as there: arrivals, passages, ends of prefill engines, ends of decode engines.
"""

from __future__ import annotations

import heapq
from itertools import count

import numpy as np

from infrascale.serving.simulation.fleet import requests_in_plain
from infrascale.serving.simulation.pools import both
from infrascale.serving.simulation.request import PS_PER_S
from infrascale.serving.simulation.scheduler import Scheduler, Step

ARRIVES, PASSES, READS, ANSWERS = range(4)


class Engine:
    """One replica: what comes stands in its inbox until a step is chosen at that time or later."""

    def __init__(self, settings, timer) -> None:
        self.scheduler, self.settings, self.timer = Scheduler(settings), settings, timer
        self.inbox, self.numbers = [], count()
        self.clock_ps, self.ends_ps = 0, None  # of the step under way; None: asleep
        self.running_step = self.under_way = None

    def tell(self, at_ps, what, request) -> None:
        heapq.heappush(self.inbox, (at_ps, next(self.numbers), what, request))
        if self.ends_ps is None:
            self.ends_ps = max(at_ps, self.clock_ps)

    def end(self):
        """The step under way is over: who finished."""
        step, self.running_step = self.running_step, None
        self.clock_ps = self.ends_ps
        return self.scheduler.update(step, self.clock_ps) if step else []

    def begin(self):
        """Choose and start the next step: whose caches begin to come."""
        s = self.scheduler
        while self.inbox and self.inbox[0][0] <= self.clock_ps:
            _, _, what, request = heapq.heappop(self.inbox)
            what(request)
        was = len(s.running)
        chosen = s.schedule()
        if self.settings.async_scheduling:
            chosen, self.under_way = self.under_way or Step(), chosen
        fetches = list(chosen.fetches)
        if chosen.shares:
            self.running_step = chosen
            self.ends_ps = self.clock_ps + round(self.timer(chosen.batch()) * PS_PER_S)
        elif (
            was
            or s.running
            or chosen.preempted
            or (self.under_way and (self.under_way.shares or self.under_way.fetches))
        ):
            self.ends_ps = self.clock_ps
        else:
            self.ends_ps = self.inbox[0][0] if self.inbox else None
        return fetches


def simulate_pools_plainly(requests, timer, settings, prefill, decode, moving_s, handing_s, links):
    prompts, answers = (requests_in_plain(one, settings) for one in both(requests))
    for one in prompts:
        one.is_lent = True
    for one in answers:
        one.is_elsewhere = True
    follows = requests.follows if requests.follows.shape[0] else np.full(len(requests), -1)
    delay_ps = np.rint(requests.delay_s * PS_PER_S) if requests.delay_s.shape[0] else np.zeros(len(requests))
    handing_ps, moving_ps = round(handing_s * PS_PER_S), np.rint(moving_s * PS_PER_S).astype(np.int64)
    pools = [[Engine(settings, timer) for _ in range(pool)] for pool in (prefill, decode)]
    free_ps = [[0] * links for _ in range(prefill)]
    later = set(int(j) for j in follows if j >= 0)
    events = [(one.arrival_ps, ARRIVES, one.index) for one in prompts if one.index not in later]
    heapq.heapify(events)
    home, turns = {}, [0, 0]

    def route(pool, i):
        home[pool, i] = turns[pool] % len(pools[pool])
        turns[pool] += 1
        return pools[pool][home[pool, i]]

    while True:
        ends = [
            (e.ends_ps, READS + pool, n) for pool in (0, 1) for n, e in enumerate(pools[pool]) if e.ends_ps is not None
        ]
        if not events and not ends:
            break
        at_ps, kind, which = min(events[:1] + ends)
        if kind == ARRIVES:
            heapq.heappop(events)
            engine = route(0, which)
            prompts[which].arrival_ps = at_ps
            engine.tell(at_ps, engine.scheduler.add, prompts[which])
        elif kind == PASSES:
            heapq.heappop(events)
            i, has_moved = divmod(which, 2)
            if has_moved:
                engine, other = pools[0][home[0, i]], pools[1][home[1, i]]
                engine.tell(at_ps, engine.scheduler.release, prompts[i])
                other.tell(at_ps, other.scheduler.ready.append, answers[i])
            else:
                engine = route(1, i)
                answers[i].arrival_ps = at_ps
                engine.tell(at_ps, engine.scheduler.add, answers[i])
        else:
            pool = kind - READS
            engine = pools[pool][which]
            for one in engine.end():
                if pool == 0:
                    heapq.heappush(events, (at_ps + handing_ps, PASSES, 2 * one.index))
                elif follows[one.index] >= 0:
                    j = int(follows[one.index])
                    think_ps = round(requests.think_s[one.index] * PS_PER_S)
                    heapq.heappush(events, (int(at_ps + think_ps + delay_ps[j]), ARRIVES, j))
            if events and events[0][0] <= at_ps:
                engine.ends_ps = at_ps
                continue
            for one in engine.begin():
                own = free_ps[home[0, one.index]]
                link = own.index(min(own))
                share = (one.isl_tokens - one.hit_tokens) / one.isl_tokens
                own[link] = max(at_ps, own[link]) + int(int(moving_ps[one.index]) * share)
                heapq.heappush(events, (own[link], PASSES, 2 * one.index + 1))
    return prompts, answers
