"""Seconds of one engine step: the waist between physics and serving.

In: Deployment, Efficiency.    Out: StepTimer, a function of a Batch. Serving knows no FLOP beyond this point.

    step = sum of kernels and collectives + host work each step + host work for each sequence
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from infrascale.deployment.deployment import Deployment
from infrascale.deployment.forms import Operator, Region, forms_of
from infrascale.hardware import Collective, Curve, Efficiency, Host, Link
from infrascale.work import Batch, Kind, Work

StepTimer = Callable[[Batch], float]


def remembered(timer: StepTimer, known: dict[Batch, float] | None = None) -> StepTimer:
    """The same timer, each batch computed once: a planner asks for the same steps many times over.

    `known`: what was computed before, if anything; what is computed now joins it.
    """
    known = {} if known is None else known

    def step_s(batch: Batch) -> float:
        found = known.get(batch)
        if found is None:
            found = known[batch] = timer(batch)
        return found

    return step_s


@dataclass(frozen=True, kw_only=True)
class PhysicsTimer:
    """A StepTimer from operators and efficiency curves. Operators come as closed forms where they can be recorded."""

    deployment: Deployment
    efficiency: Efficiency

    def __call__(self, batch: Batch) -> float:
        launches_s = self.host.launches_s(batch, self.deployment.model.layers / self.deployment.shard.pp)
        return max(self.kernels_s(batch), launches_s) + self.host.of_step_s(batch, self.deployment.shard)

    @cached_property
    def host(self) -> Host:
        return self.efficiency.host(self.deployment.engine.name, self.deployment.engine.version)

    @cached_property
    def _software(self) -> tuple[str, ...]:
        return self.efficiency.software(self.deployment.engine.name, self.deployment.engine.version)

    @cached_property
    def _curves(self) -> dict[tuple[Kind, str], Curve]:
        return {}

    @cached_property
    def _links(self) -> dict[tuple[str, int], tuple[Collective, Link]]:
        return {}

    @cached_property
    def _forms(self) -> Callable[[Batch], tuple[Region, tuple[tuple[float, ...], ...]] | None]:
        deployment = self.deployment
        return forms_of(deployment.model, deployment.shard, deployment.numerics)

    @cached_property
    def _bound_laws(self) -> dict[Region, list[Callable[..., float]]]:
        return {}

    def works(self, batch: Batch) -> list[Work]:
        deployment = self.deployment
        return list(deployment.model.work(batch, deployment.shard, deployment.numerics))

    def _link(self, pattern: str, gpus: int) -> tuple[Collective, Link]:
        found = self._links.get((pattern, gpus))
        if found is None:
            gpu = self.deployment.gpu
            link = gpu.link_for(self.deployment.shard.gpus if pattern == "p2p" else gpus)
            found = self._links[pattern, gpus] = (self.efficiency.collective(link, gpu, self._software), link)
        return found

    def _curve(self, kind: Kind, format: str) -> Curve:
        found = self._curves.get((kind, format))
        if found is None:
            found = self.efficiency.curve(kind, format, self.deployment.gpu, self._software)
            self._curves[kind, format] = found
        return found

    def seconds(self, work: Work) -> float:
        """All executions of one operator in a step [s]."""
        if work.message is not None:
            collective, link = self._link(work.message.pattern, work.message.gpus)
            return work.count * collective.seconds(work.message, link)
        return work.count * self._curve(work.kind, work.format).seconds(work, self.deployment.gpu)

    def arithmetic_s(self, batch: Batch) -> float:
        """What the operators' arithmetic would take at the datasheet's dense rates [s]."""
        rate = self.deployment.gpu.rate
        return sum(work.count * work.flop / rate(work.dtype) for work in self.works(batch) if work.flop)

    def plain_kernels_s(self, batch: Batch) -> float:
        """All operators of a step, one by one: what `kernels_s` must equal [s]."""
        return sum(map(self.seconds, self.works(batch)))

    def kernels_s(self, batch: Batch) -> float:
        """All operators of a step [s]."""
        found = self._forms(batch)
        if found is None:
            return self.plain_kernels_s(batch)
        region, amounts = found
        return sum(row[0] * law(*row[1:]) for law, row in zip(self._bound(region), amounts, strict=True))

    def _bound(self, region: Region) -> list[Callable[..., float]]:
        """Seconds of each operator of a region by its amounts, with this GPU's curve or link."""
        laws = self._bound_laws.get(region)
        if laws is None:
            laws = self._bound_laws[region] = [self._law(of) for of in region.operators]
        return laws

    def _law(self, of: Operator) -> Callable[..., float]:
        if of.gpus:
            collective, link = self._link(of.pattern, of.gpus)
            return collective.bound(of.pattern, of.gpus, link)
        return self.efficiency.law(of.kind, of.format, of.dtype, self.deployment.gpu, self._software)
