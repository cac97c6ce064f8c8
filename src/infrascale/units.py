"""Units as people write and read them. Inside the package there are only bytes, seconds, tokens, FLOP and dollars."""

from __future__ import annotations

GIB = 2**30
HOUR_S = 3600.0
DAY_S = 86400.0
MILLISECONDS_PER_S = 1000.0
