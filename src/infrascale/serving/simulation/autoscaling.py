"""Replicas that come and go with the load, compiled: Kubernetes' horizontal autoscaler on requests in flight.

Idea: at each turn ⌈in flight / target⌉ replicas are wanted. Too few: those that were leaving stay, then new ones are
started and serve after their lag (a pod, its image, its weights). Too many for as long as `calm`: the most that was
wanted meanwhile remains, the others take no new request and finish what they have.
Source: Kubernetes 1.34, "Horizontal Pod Autoscaling", stabilization window. No tolerance band, no limit on the pace.
"""

from __future__ import annotations

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import ALIVE, CLOCK, NEVER, RUNNING, WAITING

# Places in the array: period, lag, calm; thousandths of a request wanted in each; the least; and its memory.
LAG, CALM, TARGET, LEAST, LOW_SINCE, MOST_WANTED = 1, 2, 3, 4, 5, 6


@compiled
def scale(x, scaler, birth_ps, now_ps):
    replicas = x.now.shape[0]
    inside, there = 0, 0
    for r in range(replicas):
        if birth_ps[r] <= now_ps:
            birth_ps[r] = NEVER
            x.now[r, ALIVE] = 1
            x.now[r, CLOCK] = max(x.now[r, CLOCK], now_ps)
        inside += x.now[r, RUNNING] + x.now[r, WAITING]
        there += x.now[r, ALIVE] == 1 or birth_ps[r] != NEVER
    wanted = min(replicas, max(scaler[LEAST], (1000 * inside + scaler[TARGET] - 1) // scaler[TARGET]))
    if wanted >= there:
        scaler[LOW_SINCE], scaler[MOST_WANTED] = NEVER, 0
        _start(x, birth_ps, wanted - there, now_ps + scaler[LAG])
        return
    if scaler[LOW_SINCE] == NEVER:
        scaler[LOW_SINCE] = now_ps
    scaler[MOST_WANTED] = max(scaler[MOST_WANTED], wanted)
    if now_ps - scaler[LOW_SINCE] >= scaler[CALM]:
        _leave(x, birth_ps, there - scaler[MOST_WANTED])
        scaler[LOW_SINCE], scaler[MOST_WANTED] = NEVER, 0


@compiled
def _start(x, birth_ps, count, at_ps):
    """Those who are leaving stay; then new ones."""
    for busy in range(2):
        for r in range(x.now.shape[0]):
            absent = x.now[r, ALIVE] == 0 and birth_ps[r] == NEVER
            leaving = x.now[r, RUNNING] + x.now[r, WAITING] > 0
            if count > 0 and absent and leaving == (busy == 0):
                count -= 1
                if leaving:
                    x.now[r, ALIVE] = 1
                else:
                    birth_ps[r] = at_ps


@compiled
def _leave(x, birth_ps, count):
    """First those who are not there yet, then the last ones."""
    for alive in range(2):
        for back in range(x.now.shape[0]):
            r = x.now.shape[0] - 1 - back
            if count > 0 and (x.now[r, ALIVE] == 1 if alive else birth_ps[r] != NEVER):
                count -= 1
                birth_ps[r] = NEVER
                x.now[r, ALIVE] = 0
