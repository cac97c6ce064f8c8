"""A feed-forward block of many experts, of which a router picks a few for each token, plus shared ones for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import e
from statistics import NormalDist

from infrascale.model.blocks.block import Block, linear_bytes_per_gpu
from infrascale.work import Batch, Kind, Linear, Message, Numerics, Part, Shard, Work

#: Below 1, routers are skewed and later tokens meet experts already read. One number for all models: kernel tables
#: with power-law routing have it between 0.9 and 1 (benchmarks/kernels/experts.py), served models fit 0.95.
ROUTING_GROWTH = 0.95


def experts_hit(tokens: float, experts: int, experts_per_token: int) -> float:
    """Distinct experts that `tokens` reach:  E · (1 − (1 − k/E)^(tokens^GROWTH)).

    8 of 256 experts, 32 tokens: 256 · (1 − (1 − 1/32)^(32^0.95)) = 147; even routing (GROWTH 1) would reach 163.
    """
    return experts * (1 - (1 - experts_per_token / experts) ** tokens**ROUTING_GROWTH)


def experts_hit_on_fullest(tokens: float, experts: int, experts_per_token: int, ep: int) -> float:
    """Distinct experts that `tokens` reach on the rank where they are most, of `ep` ranks with E/ep experts each.

        n · (1 − (1 − h) · exp(−z · √(h / ((1 − h) · n))))      h: share reached on average, n = E/ep

    A layer waits for its slowest rank. To first order this is n·h + z·√(n·h·(1 − h)), a binomial's spread times z, the
    expected largest of `ep` normal draws (Blom's formula); it never exceeds n. 8 of 256 experts on 8 ranks: 8 tokens
    reach 9.6 where the mean is 6.5, 64 tokens 28.3 where it is 25.9.
    """
    if ep == 1:
        return experts_hit(tokens, experts, experts_per_token)
    own, hit = experts / ep, experts_hit(tokens, experts, experts_per_token) / experts
    largest = NormalDist().inv_cdf((ep - 0.375) / (ep + 0.25))
    spread = (hit / ((1 - hit) * own + 1e-12)) ** 0.5  # a large batch reaches them all: no division by zero
    return own * (1 - (1 - hit) * e ** (-largest * spread))


@dataclass(frozen=True, kw_only=True)
class Moe(Block):
    """Sparse feed-forward. `intermediate` is one expert's width; `latent` a narrower input of the experts, if any."""

    hidden: int
    experts: int
    experts_per_token: int
    intermediate: int
    shared_intermediate: int = 0
    shared_gate: bool = False
    gated: bool = True
    bias: bool = False
    router_params: int = 0  # beyond hidden · experts: biases
    latent: int = 0
    norm_params: int = 0

    @property
    def params_per_expert(self) -> int:
        width = self.latent or self.hidden
        matrices = 3 if self.gated else 2
        biases = (self.intermediate * (matrices - 1) + width) if self.bias else 0
        return matrices * width * self.intermediate + biases

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        found = [Linear(name="router", inputs=self.hidden, outputs=self.experts, part=Part.ROUTER, cut=False)]
        if self.latent:
            found.append(
                Linear(name="latent_down", inputs=self.hidden, outputs=self.latent, part=Part.SHARED, cut=False)
            )
            found.append(Linear(name="latent_up", inputs=self.latent, outputs=self.hidden, part=Part.SHARED, cut=False))
        if self.shared_intermediate:
            wide = self.shared_intermediate * (2 if self.gated else 1)
            found.append(Linear(name="shared_up", inputs=self.hidden, outputs=wide, part=Part.SHARED))
            found.append(
                Linear(
                    name="shared_down",
                    inputs=self.shared_intermediate,
                    outputs=self.hidden,
                    part=Part.SHARED,
                    inner=True,
                )
            )
        if self.shared_gate:
            found.append(Linear(name="shared_gate", inputs=self.hidden, outputs=1, part=Part.ROUTER, cut=False))
        return tuple(found)

    @cached_property
    def _fixed_params(self) -> int:
        return sum(linear.params for linear in self.linears) + self.router_params + self.norm_params

    @property
    def params(self) -> int:
        return self._fixed_params + self.experts * self.params_per_expert

    @property
    def active_params(self) -> int:
        return self._fixed_params + self.experts_per_token * self.params_per_expert

    def weight_bytes_per_gpu(self, shard: Shard, numerics: Numerics) -> float:
        routed = self.experts * self.params_per_expert * numerics.weight_bytes[Part.EXPERTS]
        return (
            linear_bytes_per_gpu(self.linears, shard.tp, numerics)
            + (self.router_params + self.norm_params) * 2
            + routed / (shard.ep * shard.moe_tp)
        )

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        for linear in self.linears:
            yield linear.work(rank.tokens, shard.tp, numerics)
        # Experts see the tokens of every attention rank.
        pairs = batch.tokens * self.experts_per_token / shard.ep
        local = experts_hit_on_fullest(batch.tokens, self.experts, self.experts_per_token, shard.ep)
        params = self.params_per_expert / shard.moe_tp
        width = self.latent or self.hidden
        moved = pairs * (2 * width + 3 * self.intermediate / shard.moe_tp) * numerics.activation_bytes
        yield Work(
            name="experts",
            kind=Kind.MOE,
            dtype=numerics.compute[Part.EXPERTS],
            format=numerics.weight_format[Part.EXPERTS],
            flop=2 * pairs * params,
            hbm_bytes=local * params * numerics.weight_bytes[Part.EXPERTS] + moved,
            rows=pairs / local if local else 0.0,
        )
        if shard.dp > 1:
            # Tokens travel to their experts and back between the attention ranks.
            sent = rank.tokens * min(self.experts_per_token, shard.ep) * width * numerics.activation_bytes
            exchange = Message(pattern="all_to_all", message_bytes=sent, gpus=shard.tp * shard.dp)
            yield Work(name="dispatch_combine", kind=Kind.COMMUNICATION, count=2, message=exchange)
