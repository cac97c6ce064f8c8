"""How the time to the first token spreads over a benchmark's requests, where answers differ in length.

In: what `steady_state.closed_loop` is asked, and the mean that it found.    Out: Spread.
Idea: the first wave waits anything between nothing and all prompts ahead; of later waves a share meets a busy queue and
waits exponentially; all meet the step under way somewhere in it. Scaled to the mean, so that both say the same.
Against the simulator (tests/test_lockstep.py): p95 mostly within 25 %; long prompts of few clients up to 60 % above.
"""

from __future__ import annotations

from math import log

from infrascale.deployment import StepTimer
from infrascale.hardware import Host
from infrascale.serving.lockstep import spread_of
from infrascale.serving.performance import Spread
from infrascale.serving.steady_state import Limits, Waves, held_s, later_waits, steps
from infrascale.workload import Workload

#: Points of each wave, and the golden ratio, by which places in a step are spread evenly beside them.
POINTS, GOLDEN = 16, 0.618034


def burst_spread(
    timer: StepTimer,
    workload: Workload,
    limits: Limits,
    host: Host,
    laws: dict[str, float],
    running: float,
    waves: Waves,
    mean_s: float,
) -> Spread:
    found, others = steps(timer, workload, limits, running), max(0.0, running - 1)
    front_s = host.request_s + host.prompt_token_s * workload.isl_tokens
    under_way_s = found.decode_s * min(1.0, others)
    alone_s = front_s + found.prompt_s
    own_s = alone_s + (laws["burst_residual_step"] + limits.unseen_steps) * under_way_s
    ramp_s = others * (held_s(found, workload, limits) + laws["burst_front"] * front_s)
    shares = [(k + 0.5) / POINTS for k in range(POINTS)]
    values = [(alone_s + share * ramp_s, 1.0) for share in shares]
    for busy, wait_s in later_waits(found, workload, limits, laws, running, waves):
        for k, share in enumerate(shares):
            waited = 1 - share < busy
            queued_s = -log((1 - share) / busy) * laws["burst_resync"] * wait_s / busy if waited else 0.0
            values.append((own_s + (k * GOLDEN % 1 - 0.5) * under_way_s + queued_s, 1.0))
    spread = spread_of(values)
    scale = mean_s / spread.mean_s
    return Spread(mean_s=mean_s, quantiles_s={share: value * scale for share, value in spread.quantiles_s.items()})
