"""Watts of a replica's GPUs while a step runs, and while none does; at most, with the servers around them.

In: PhysicsTimer, Batch.    Out: W, of all GPUs of the replica. Not of the server around them, but in `peak_kw`.

    busy = limit · min(1, base + a·(share of bandwidth) + c·(share of dense arithmetic))

The three constants are laws of the efficiency data; shares are of the datasheet over the whole step, host included.
"""

from __future__ import annotations

from infrascale.deployment.timer import PhysicsTimer
from infrascale.hardware import Gpu
from infrascale.work import Batch, Kind

#: EcoLogits 0.11.3 (MPL-2.0), impacts/llm.py: a server of 8 GPUs without them draws 1.2 kW.
SERVER_W_PER_GPU = 1200 / 8


def peak_kw(gpu: Gpu, gpus: int) -> float:
    """GPUs at their limit and the servers around them, before cooling [kW]. 8 H100: 8 · (700 + 150) / 1000 = 6.8."""
    return gpus * (gpu.power_w + SERVER_W_PER_GPU) / 1000


def busy_power_w(timer: PhysicsTimer, batch: Batch) -> float:
    """Mean power during steps like `batch` [W].

    Fitted on 270 runs of ML.ENERGY v3 on H100 and B200: error with one model left out 12 % mean, 10 % median.
    """
    gpu, laws, step_s = timer.deployment.gpu, timer.efficiency.laws, timer(batch)
    works = [work for work in timer.works(batch) if work.kind is not Kind.COMMUNICATION]
    moving = sum(work.count * work.hbm_bytes for work in works) / gpu.hbm_bytes_per_s / step_s
    computing = sum(work.count * work.flop / gpu.rate(work.dtype) for work in works) / step_s
    share = laws["power_base"] + laws["power_moving"] * moving + laws["power_computing"] * computing
    return timer.deployment.shard.gpus * gpu.power_w * min(1.0, share)


def idle_power_w(timer: PhysicsTimer) -> float:
    """Power with the model loaded and nothing to do [W]; a fifth of the limit where no source tells."""
    gpu = timer.deployment.gpu
    return timer.deployment.shard.gpus * (gpu.idle_power_w or timer.efficiency.laws["power_idle"] * gpu.power_w)
