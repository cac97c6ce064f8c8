"""Step times of many deployments at once, as NumPy columns: what a fit evaluates thousands of times.

In: (Deployment, Batch) pairs, once.    Out: seconds of every step for any scaling of the efficiency curves.
The arithmetic is that of `hardware.efficiency`, operator by operator; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from infrascale.deployment import Deployment
from infrascale.hardware import Efficiency, Scale
from infrascale.work import Batch, Work

Floats = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Columns:
    """One row an operator of a step; `step` tells which step it belongs to, `group` which scale applies."""

    steps: int
    groups: tuple[tuple[str, str], ...]
    step: Floats
    group: Floats
    count: Floats
    launch_s: Floats
    moving_s: Floats
    computing_s: Floats
    exponent: Floats

    def kernels_s(self, scales: Mapping[str, Scale]) -> Floats:
        """Kernel and collective seconds of every step under these scales [s], shape (steps,)."""
        launch, moving, computing = self._multipliers(scales)
        p = self.exponent
        walls = ((moving * self.moving_s) ** p + (computing * self.computing_s) ** p) ** (1 / p)
        return np.bincount(self.step, self.count * (launch * self.launch_s + walls), self.steps)

    def _multipliers(self, scales: Mapping[str, Scale]) -> list[Floats]:
        one = Scale()
        pairs = [(scales.get(kind, one), scales.get(f"{kind}/{format}", one)) for kind, format in self.groups]
        parts = ("launch", "moving", "computing")
        return [np.array([getattr(a, part) * getattr(b, part) for a, b in pairs])[self.group] for part in parts]


def columns(steps: Sequence[tuple[Deployment, Batch]], efficiency: Efficiency) -> Columns:
    """The operators of these steps, each with its times before scaling (`efficiency` without scales)."""
    rows: list[tuple[float, ...]] = []
    groups: dict[tuple[str, str], int] = {}
    for index, (deployment, batch) in enumerate(steps):
        for work in deployment.model.work(batch, deployment.shard, deployment.numerics):
            group = groups.setdefault((work.kind, "" if work.message else work.format), len(groups))
            rows.append((index, group, work.count, *_times(work, deployment, efficiency)))
    table = np.array(rows).T
    return Columns(
        steps=len(steps),
        groups=tuple(groups),
        step=table[0].astype(int),
        group=table[1].astype(int),
        count=table[2],
        launch_s=table[3],
        moving_s=table[4],
        computing_s=table[5],
        exponent=table[6],
    )


def _times(work: Work, deployment: Deployment, efficiency: Efficiency) -> tuple[float, float, float, float]:
    """Launch, memory and arithmetic seconds of one execution, and the exponent that joins the two walls."""
    gpu, engine = deployment.gpu, deployment.engine
    software = efficiency.software(engine.name, engine.version)
    if work.message is not None:
        gpus = deployment.shard.gpus if work.message.pattern == "p2p" else work.message.gpus
        link = gpu.link_for(gpus)
        return (*efficiency.collective(link, gpu, software).walls(work.message, link), 0.0, 1.0)
    curve = efficiency.curve(work.kind, work.format, gpu, software)
    return (curve.overhead_s(work), *curve.walls(work, gpu), curve.exponent)
