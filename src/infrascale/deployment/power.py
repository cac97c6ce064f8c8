"""Watts of a replica's GPUs while steps run, and while none does; at most, with the servers around them.

In: PhysicsTimer, Batch, the share of time that prompts take.    Out: W, of all GPUs of the replica. Not of the server
around them, but in `peak_kw`.

    x = idle + a · busy + c · computing^e        share of the limit; what is near 1 saturates, the card lowers its clock
    watts = limit · x / (1 + x^8)^(1/8)

`busy` is the share of time in which a kernel runs, `computing` that in which useful arithmetic would at the datasheet's
dense rate: a small part of a decoding step, and all of the time in which prompts are read. a, c and e are laws of the
efficiency data.
"""

from __future__ import annotations

from infrascale.deployment.timer import PhysicsTimer
from infrascale.hardware import Gpu
from infrascale.work import Batch

#: How sharply the limit cuts in.
LIMIT_EXPONENT = 8

#: EcoLogits 0.11.3 (MPL-2.0), impacts/llm.py: a server of 8 GPUs without them draws 1.2 kW.
SERVER_W_PER_GPU = 1200 / 8


def peak_kw(gpu: Gpu, gpus: int) -> float:
    """GPUs at their limit and the servers around them, before cooling [kW]. 8 H100: 8 · (700 + 150) / 1000 = 6.8."""
    return gpus * (gpu.power_w + SERVER_W_PER_GPU) / 1000


def busy_power_w(timer: PhysicsTimer, batch: Batch, prompts_fraction: float = 0.0) -> float:
    """Mean power while steps like `batch` run, and prompts are read for a share of the time [W].

    Fitted by benchmarks/power.py on 270 runs of ML.ENERGY v3 (H100, B200) and 34 static batches of Argonne (A100,
    H100): error with one model left out 10 %, with one GPU left out 10 %.
    """
    gpu, laws = timer.deployment.gpu, timer.efficiency.laws
    busy, computing = activity(timer, batch, prompts_fraction)
    share = idle_share(gpu, laws["power_idle"]) + laws["power_busy"] * busy
    share += laws["power_computing"] * computing ** laws["power_exponent"]
    limited = share / (1 + share**LIMIT_EXPONENT) ** (1 / LIMIT_EXPONENT)
    return timer.deployment.shard.gpus * gpu.power_w * limited


def activity(timer: PhysicsTimer, batch: Batch, prompts_fraction: float = 0.0) -> tuple[float, float]:
    """Shares of time in which kernels run, and in which their arithmetic would alone."""
    step_s, rest = timer(batch), 1 - prompts_fraction
    busy, computing = timer.kernels_s(batch) / step_s, timer.arithmetic_s(batch) / step_s
    return prompts_fraction + rest * min(1.0, busy), prompts_fraction + rest * min(1.0, computing)


def idle_share(gpu: Gpu, otherwise: float) -> float:
    return (gpu.idle_power_w or otherwise * gpu.power_w) / gpu.power_w


def idle_power_w(timer: PhysicsTimer) -> float:
    """Power with the model loaded and nothing to do [W]; a share of the limit where no source tells."""
    gpu = timer.deployment.gpu
    return timer.deployment.shard.gpus * gpu.power_w * idle_share(gpu, timer.efficiency.laws["power_idle"])
