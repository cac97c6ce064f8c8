"""A benchmark whose answers are all of one length: who was answered together comes back together.

In: times of a step without prompts, with one prompt and with as many as a step takes; what runs.    Out: TPOT, TTFT.
Idea: b clients start at once and are read in groups of k, as many prompts as a step's tokens hold. Answers of one
length keep a group together, so each later wave meets the engine in m = b / k groups. Group j ends one step after
group j − 1, and D steps pass from an answer's end until the next prompt of that client is read (answer out, request
in, the step under way, steps already scheduled). Groups 0 … D − 1 therefore end before the next wave's prompts begin,
later ones between them, one a prompt step:

    TPOT · (osl − 1) = (osl − 1) · decode + ((m − 1)/2 + (m − D)(m − D + 1)/2m) · (group − decode)
    TTFT of group j  = host + reading   first wave: j groups ahead       later: min(j, D − 1) groups ahead

In the first wave the engine starts with whoever comes first, so one prompt is read alone; so it is in every wave whose
clients fit one group, since then nothing runs when they return: that one ends and returns as many steps earlier as its
prompt took, and the others wait so much less for it. A group that is not full takes its share of a full one's time.
Answers of lengths that differ by a few tokens lose this order within a wave or two: `steady_state` has the closed loop
for those.
Against the simulator (tests/test_lockstep.py): TPOT within 5 %, mean TTFT within 20 %.
"""

from __future__ import annotations

from dataclasses import dataclass

from infrascale.serving.lattice import PROBABILITIES
from infrascale.serving.performance import Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """`clients` in groups of `each`; seconds of a step of all decoding, of one prompt's and of a group's reading.

    A prompt longer than a step takes `chunks` steps. `front_s`: how far apart the front end lets requests through.
    """

    clients: float
    each: float
    chunks: int
    decode_s: float
    alone_s: float
    together_s: float
    host_s: float
    front_s: float
    unseen_steps: float

    @property
    def groups(self) -> float:
        return self.clients / self.each

    @property
    def extra_s(self) -> float:
        """What reading a group adds to the steps of those who are answered meanwhile [s]."""
        return max(0.0, self.together_s - self.chunks * self.decode_s)

    @property
    def back_after(self) -> float:
        """Steps from the end of an answer until the client's next prompt is read: D. Half a step for its boundary."""
        return 1.5 + self.unseen_steps + self.host_s / self.decode_s

    def token_s(self, osl_tokens: float, waves: float) -> float:
        """Mean TPOT over the waves; the last one meets no prompts of a next [s]."""
        m, d = self.groups, self.back_after
        own = (m - 1) / 2
        following = max(0.0, m - d) * (m - d + 1) / (2 * m)
        first = self._first_wave_groups()
        started = (first + self.each * first * max(0.0, first - 1) / 2) / self.clients
        met = (started + (waves - 1) * (own + following)) / waves
        if first <= 1:  # nothing runs when all return at once: each wave starts as the first
            met = started
        return self.decode_s + met * self.extra_s / max(1.0, osl_tokens - 1)

    def first_token_s(self, waves: float) -> Spread:
        """TTFT over groups and waves [s]."""
        later = max(0.0, waves - 1)
        found = [(seconds, share) for seconds, share in self._first_wave()]
        if later:
            found += [(seconds, share * later) for seconds, share in self._later_wave()]
        return spread_of(found)

    def _first_wave_groups(self) -> float:
        """Groups behind the one prompt that starts the wave."""
        return max(0.0, self.clients - 1) / self.each

    def _reading_s(self, share: float) -> float:
        """Steps that read this share of a whole group beside the others' decoding [s]."""
        return self.chunks * self.decode_s + share * self.extra_s

    def _first_wave(self) -> list[tuple[float, float]]:
        """Times to the first token, and how many clients meet each."""
        found = [(self.host_s + self.alone_s, min(1.0, self.clients))]
        for j, share in _parts(self._first_wave_groups()):
            ahead_s = self.alone_s + j * self.together_s
            queued_s = self.front_s * (1 + j * self.each)
            found.append((self.host_s + queued_s + ahead_s + self._reading_s(share), share * self.each))
        return found

    def _wave_of_one_group(self) -> list[tuple[float, float]]:
        """Who was read alone ends a prompt's steps before the others, and is read alone again while they return."""
        found = [(self.host_s + self.alone_s, min(1.0, self.clients))]
        for _, share in _parts(self._first_wave_groups()):
            ahead_s = max(0.0, self.alone_s - self.chunks * self.decode_s)
            found.append((self.host_s + ahead_s + self._reading_s(share), share * self.each))
        return found

    def _later_wave(self) -> list[tuple[float, float]]:
        m, d = self.groups, self.back_after
        if self._first_wave_groups() <= 1:
            return self._wave_of_one_group()
        found = []
        for j, share in _parts(m):
            ahead, short = min(j, d - 1), max(0.0, d - 1 - j)
            reading_s = ahead * self.together_s + self._reading_s(share)
            found.append((short * self.decode_s + reading_s, share * self.each))
        return found


def _parts(groups: float) -> list[tuple[int, float]]:
    """Whole groups, and what is left as a part of one."""
    whole = int(groups)
    found = [(j, 1.0) for j in range(whole)]
    return [*found, (whole, groups - whole)] if groups - whole > 1e-9 else found


def spread_of(values: list[tuple[float, float]]) -> Spread:
    """Mean and quantiles of weighted values, on straight lines between their middles."""
    values = sorted(values)
    total = sum(weight for _, weight in values)
    places, before = [], 0.0
    for value, weight in values:
        places.append(((before + weight / 2) / total, value))
        before += weight
    found = {}
    for share in PROBABILITIES:
        above = next((n for n, (place, _) in enumerate(places) if place >= share), len(places) - 1)
        low, high = places[max(0, above - 1)], places[above]
        part = (share - low[0]) / (high[0] - low[0]) if high[0] > low[0] else 1.0
        found[share] = low[1] + min(1.0, max(0.0, part)) * (high[1] - low[1])
    return Spread(mean_s=sum(value * weight for value, weight in values) / total, quantiles_s=found)
