"""Many decoding steps at once: how long they last, how many last so long, and the gaps between tokens in them.

Idea: while the same sequences decode, a step's time is a straight line in the context they read, piece by piece
(steptable.py), so a run of steps is a sum of arithmetic series. Whole picoseconds, as everywhere in the simulator.
"""

from __future__ import annotations

from math import sqrt

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import NEVER


@compiled
def stretch(t, seqs, context, steps):
    """Of `steps` decoding steps from this context on, those on one straight line: how many, the first, the rise."""
    row = t.row_of[seqs]
    width = t.decode_width[row]
    last = t.decode_ps.shape[1] - 1
    segment = min(context // width, last)
    slope = t.decode_slope_ps[row, segment]
    if segment < last:
        steps = min(steps, ((segment + 1) * width - context + seqs - 1) // seqs)
    return steps, t.decode_ps[row, segment] + slope * (context - segment * width), slope * seqs


@compiled
def _sum_ps(steps, first, rise):
    return steps * first + rise * (steps * (steps - 1) // 2)


@compiled
def jump_ps(t, seqs, context, steps):
    """Time of `steps` steps that decode `seqs` sequences, which read `context` tokens in the first."""
    total = 0
    while steps > 0:
        some, first, rise = stretch(t, seqs, context, steps)
        total += _sum_ps(some, first, rise)
        context += some * seqs
        steps -= some
    return total


@compiled
def steps_until(t, seqs, context, span_ps):
    """The fewest such steps that last at least `span_ps`, and how long they do."""
    steps, total = 0, 0
    while True:
        some, first, rise = stretch(t, seqs, context, NEVER >> 24)
        left = span_ps - total
        if rise <= 0:
            count = min((left + first - 1) // first, some)
        else:
            half = first - rise / 2
            count = int((sqrt(half * half + 2.0 * rise * left) - half) / rise)
            count = min(max(count, 1), some)
        while count < some and _sum_ps(count, first, rise) < left:
            count += 1
        while count > 1 and _sum_ps(count - 1, first, rise) >= left:
            count -= 1
        steps += count
        total += _sum_ps(count, first, rise)
        if total >= span_ps:
            return steps, total
        context += count * seqs


@compiled
def count_gaps(x, r, gap_ps, times):
    """`times` gaps between tokens of this length."""
    low, high = 0, x.gap_edges_ps.shape[0]
    while low < high:
        middle = (low + high) // 2
        if x.gap_edges_ps[middle] < gap_ps:
            low = middle + 1
        else:
            high = middle
    x.gaps[r, low] += times
    return low


@compiled
def count_jump_gaps(x, r, t, seqs, context, steps):
    """The gaps of a whole jump, each step's counted once for every sequence."""
    while steps > 0:
        some, first, rise = stretch(t, seqs, context, steps)
        context += some * seqs
        steps -= some
        while some > 0:
            at = count_gaps(x, r, first, 0)
            last = first + rise * (some - 1)
            inside = some
            if rise != 0 and at < x.gap_edges_ps.shape[0] and (last > x.gap_edges_ps[at] or rise < 0):
                inside = 1 if rise < 0 else min(some, (x.gap_edges_ps[at] - first) // rise + 1)
            x.gaps[r, at] += inside * seqs
            first += rise * inside
            some -= inside
