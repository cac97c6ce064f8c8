"""What happens before equilibrium: a burst, a cold start, the minutes after a replica dies.

In: rates up and down by state, the chances now, a time.    Out: the chances then, with a proven error bound.
Idea: uniformisation. Let all states be left at one rate Λ, some moves being back to themselves; then the moves in time
t are Poisson(Λt), whatever the state, and

    p(t) = Σ_k  Poisson(k; Λt) · p(0) · Pᵏ

with positive terms only, so the tail that is left out bounds the error.
Needs NumPy (`pip install infrascale[simulate]`).
Source: Jensen 1953; Grassmann, Computers & OR 4 (1977).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import TYPE_CHECKING

from infrascale.serving.queueing import Replica

if TYPE_CHECKING:
    import numpy as np

#: Moves taken in one stretch: a longer time is cut, so that no Poisson weight underflows.
STRETCH = 400.0


def evolve(
    chances: np.ndarray, up: Sequence[float], down: Sequence[float], seconds: float, error: float = 1e-9
) -> np.ndarray:
    """Chances of the states 0 … len(up) after `seconds`; their total variation from the truth is at most `error`."""
    import numpy as np

    rises, falls = np.append(np.asarray(up, float), 0.0), np.append(0.0, np.asarray(down, float))
    fastest = float((rises + falls).max())
    if seconds <= 0 or fastest == 0:
        return np.array(chances, float)
    stay, rises, falls = 1 - (rises + falls) / fastest, rises / fastest, falls / fastest
    stretches = max(1, int(fastest * seconds / STRETCH) + 1)
    moves = fastest * seconds / stretches
    now = np.array(chances, float)
    for _ in range(stretches):
        k, left, total = 0, 1.0, np.zeros_like(now)
        while left > error / stretches:
            weight = exp(k * log(moves) - moves - lgamma(k + 1))
            total += weight * now
            left -= weight
            if left < 1e-14 and k > moves:
                break
            step = stay * now
            step[1:] += rises[:-1] * now[:-1]
            step[:-1] += falls[1:] * now[1:]
            now, k = step, k + 1
        now = total / total.sum()
    return now


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """A stretch of time with one arrival rate at each replica that is alive."""

    seconds: float
    request_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """One replica at one moment: requests in flight on average, the share of arrivals that wait, their mean wait."""

    at_s: float
    in_flight: float
    waits: float
    wait_s: float
    tpot_s: float


def course(replica: Replica, spells: Sequence[Spell], every_s: float, room: int | None = None) -> list[Instant]:
    """A replica through spells of traffic, from the equilibrium of the first (empty where that has no rate).

    `room`: states kept, by default enough for all that arrive in the overloads to come, and eight deviations.
    """
    import numpy as np

    most = replica.most_request_per_s
    piled = sum(max(0.0, s.request_per_s - most) * s.seconds for s in spells)
    arriving = sum(s.request_per_s * s.seconds for s in spells)
    states = room or int(replica.places + 2 * piled + 8 * arriving**0.5 + 50)
    down = np.array([replica.down[min(n, replica.places) - 1] for n in range(1, states + 1)])
    now = _equilibrium(down, spells[0].request_per_s)
    found, clock = [_instant(replica, now, 0.0)], 0.0
    for spell in spells:
        up = np.full(states, spell.request_per_s)
        looks = max(1, round(spell.seconds / every_s))
        for _ in range(looks):
            clock += spell.seconds / looks
            now = evolve(now, up, down, spell.seconds / looks)
            found.append(_instant(replica, now, clock))
    return found


def _equilibrium(down: np.ndarray, request_per_s: float) -> np.ndarray:
    import numpy as np

    if request_per_s == 0:
        return np.append(1.0, np.zeros(len(down)))
    logs = np.append(0.0, np.cumsum(np.log(request_per_s / down)))
    chances = np.exp(logs - logs.max())
    return chances / chances.sum()


def _instant(replica: Replica, chances: np.ndarray, at_s: float) -> Instant:
    import numpy as np

    states = np.arange(len(chances))
    places = replica.places
    over = np.maximum(0, states - places + 1)
    tokens = np.array(replica.tokens_s)[np.clip(states, 1, places) - 1]
    busy = np.minimum(np.maximum(states, 1), places) * chances
    return Instant(
        at_s=at_s,
        in_flight=float(states @ chances),
        waits=float(chances[places:].sum()),
        wait_s=float(over @ chances) / replica.down[-1],
        tpot_s=float(tokens @ busy / busy.sum()),
    )
