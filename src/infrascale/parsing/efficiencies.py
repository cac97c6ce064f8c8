"""The shipped efficiency curves become one Efficiency value."""

from __future__ import annotations

import re
from functools import cache

from infrascale import catalog
from infrascale.hardware import Collective, Efficiency, Host


@cache
def efficiency() -> Efficiency:
    raw = catalog.efficiency_entry()
    general = raw["hosts"]["vllm"]
    return Efficiency(
        curves=raw["curves"],
        collectives={
            key: Collective(
                **{part: {int(n): v for n, v in values.items()} for part, values in table.items()},
            )
            for key, table in raw["collectives"].items()
        },
        hosts={
            key: Host(**{**general, **raw["hosts"].get(re.split("[<>]", key)[0], {}), **host})
            for key, host in raw["hosts"].items()
        },
        factors=raw["factors"],
        tables=raw["tables"],
        laws=raw["laws"],
        origin=raw["origin"],
    )
