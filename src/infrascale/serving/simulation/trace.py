"""A simulation as a Chrome trace, which chrome://tracing and ui.perfetto.dev open.

In: Records.    Out: JSON. A replica is a process; a request is a wait and an answer; the batch, the queue and the
used cache blocks are counters. Only the first requests are drawn, since viewers stall at millions.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from infrascale.serving.simulation.fleet import Records

PS_PER_US = 1_000_000
MOST_REQUESTS = 20_000


def chrome_trace(records: Records) -> dict[str, Any]:
    replicas = range(records.series.shape[1])
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "process_name", "pid": r, "args": {"name": f"replica {r}"}} for r in replicas
    ]
    order = np.argsort(records.arrival_ps, kind="stable")[:MOST_REQUESTS]
    for i in order[records.last_ps[order] >= 0]:
        arrival, first, last = (records.arrival_ps[i], records.first_ps[i], records.last_ps[i])
        details = {
            "isl_tokens": int(records.isl_tokens[i]),
            "osl_tokens": int(records.osl_tokens[i]),
            "prefix_hit_tokens": int(records.hit_tokens[i]),
            "preemptions": int(records.preemptions[i]),
        }
        pid = int(records.replica[i])
        for name, begins, ends in (("first token", arrival, first), ("answer", first, last)):
            both = {"cat": "request", "name": name, "id": int(i), "pid": pid, "tid": 0}
            events.append(both | {"ph": "b", "ts": begins / PS_PER_US, "args": details})
            events.append(both | {"ph": "e", "ts": ends / PS_PER_US})
    for moment, at_s in enumerate(records.moments_s):
        for r in replicas:
            running, waiting, used, _ = map(int, records.series[moment, r])
            at = {"ph": "C", "pid": r, "ts": float(at_s) * 1e6}
            events.append(at | {"name": "requests", "args": {"running": running, "waiting": waiting}})
            events.append(at | {"name": "cache blocks", "args": {"used": used}})
    return {"traceEvents": events, "displayTimeUnit": "ms"}
