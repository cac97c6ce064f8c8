"""How the simulator's functions are compiled: once per machine, kept beside the sources, and free of Python's lock.

They allocate nothing, so arrays are passed without counting references, which would otherwise take most of the time.
"""

from __future__ import annotations

from numba import njit

compiled = njit(cache=True, nogil=True, _nrt=False)
