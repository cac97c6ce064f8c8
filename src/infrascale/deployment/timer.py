"""Seconds of one engine step: the waist between physics and serving.

In: Deployment, Efficiency.    Out: StepTimer, a function of a Batch. Serving knows no FLOP beyond this point.

    step = sum of kernels and collectives + host work each step + host work for each sequence
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from infrascale.deployment.deployment import Deployment
from infrascale.hardware import Collective, Curve, Efficiency, Host, Link
from infrascale.work import Batch, Kind, Work

StepTimer = Callable[[Batch], float]


def remembered(timer: StepTimer) -> StepTimer:
    """The same timer, each batch computed once: a planner asks for the same steps many times over."""
    known: dict[Batch, float] = {}

    def step_s(batch: Batch) -> float:
        found = known.get(batch)
        if found is None:
            found = known[batch] = timer(batch)
        return found

    return step_s


@dataclass(frozen=True, kw_only=True)
class PhysicsTimer:
    """A StepTimer from operators and efficiency curves."""

    deployment: Deployment
    efficiency: Efficiency

    def __call__(self, batch: Batch) -> float:
        return self.kernels_s(batch) + self.host.step_s + self.host.seq_s * batch.seqs

    @cached_property
    def host(self) -> Host:
        return self.efficiency.host(self.deployment.engine.name, self.deployment.engine.version)

    @cached_property
    def _curves(self) -> dict[tuple[Kind, str], Curve]:
        return {}

    @cached_property
    def _links(self) -> dict[int, tuple[Collective, Link]]:
        return {}

    def works(self, batch: Batch) -> list[Work]:
        deployment = self.deployment
        return list(deployment.model.work(batch, deployment.shard, deployment.numerics))

    def seconds(self, work: Work) -> float:
        """All executions of one operator in a step [s]."""
        gpu = self.deployment.gpu
        if work.message is not None:
            gpus = work.message.gpus
            if gpus not in self._links:
                link = gpu.link_for(self.deployment.shard.gpus if work.message.pattern == "p2p" else gpus)
                self._links[gpus] = (self.efficiency.collective(link, gpu.architecture), link)
            collective, link = self._links[gpus]
            return work.count * collective.seconds(work.message, link)
        key = (work.kind, work.format)
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = self.efficiency.curve(work.kind, work.format, gpu.architecture)
        return work.count * curve.seconds(work, gpu)

    def kernels_s(self, batch: Batch) -> float:
        return sum(map(self.seconds, self.works(batch)))
