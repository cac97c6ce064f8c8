"""How much longer requests wait for one of many places than (scv_a + scv_s) / 2 of the wait in M/M/m says.

In: load, variability of service, places.    Out: a factor.
Idea: an answer of fixed length ends when it was let in plus its length, so that over a spell of waiting, short beside
an answer, places fall free as irregularly as requests came; only over long spells do fixed lengths even the wait out.
Source: Cosmetatos' M/D/m (1975), as Whitt bounds it (GI/G/m, Production and Operations Management 2, 1993, eq. 2.16);
between fixed and exponential lengths on a straight line (Tijms, A First Course in Stochastic Models, 2003, §9.6).
"""

from __future__ import annotations

from math import sqrt


def times_one_server(load: float, scv_s: float, places: float) -> float:
    """1 for one place and for exponential lengths; fixed ones, ten places at 90 %: 1.03, hundreds: up to 1.24."""
    more = (1 - load) / load * (places - 1) * (sqrt(4 + 5 * places) - 2) / (16 * places)
    return 1 + min(0.24, more) * max(0.0, 1 - scv_s) / (1 + scv_s)
