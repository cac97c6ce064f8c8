"""vLLM V1's scheduler, one step at a time: the plain mode, and the oracle of the fast one.

In: requests as they arrive.    Out: for every step, how many tokens of whom.
Idea: there is no prefill and no decoding, only requests whose computed tokens lag behind their known ones, and one
budget of tokens a step. Those who run come first, in order of admission; when blocks run out, the last of them is
preempted: its blocks are freed and all it had is computed again later. Then those who wait, while budget, sequences
and blocks last and nobody was preempted; the first that does not fit stops the line. A waiting request is let in only
when all its known tokens would fit.
Source: vllm/v1/core/sched/scheduler.py and vllm/v1/core/ of 0.32.0, read 2026-11-24; agreement is measured by
benchmarks/scheduler_agreement.py. Leaves out LoRA, encoders, KV connectors, sliding windows, and
long_prefill_token_threshold.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

from infrascale.serving.simulation.blocks import BlockPool
from infrascale.serving.simulation.request import Request, Settings
from infrascale.work import Batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One request's part of a step: `tokens` of it after `past_tokens` in the cache; `yields` a token at its end."""

    request: Request
    tokens: int
    past_tokens: int
    yields: bool
    decodes: bool  # one token of a request that has answered before
    preemptions: int  # of the request when this was scheduled: more now means that it lost its place since


@dataclass(slots=True, kw_only=True)
class Step:
    """What one step carries, in order; who was preempted for it; what was found in the prefix cache on admission."""

    shares: dict[int, Share] = field(default_factory=dict)
    preempted: list[Request] = field(default_factory=list)
    hit_tokens: dict[int, int] = field(default_factory=dict)
    fetches: list[Request] = field(default_factory=list)  # whose caches begin to come from another pool

    def batch(self) -> Batch:
        """The step as a StepTimer takes it; the past of prompts is such that their query-key pairs come out right."""
        prefills = [share for share in self.shares.values() if not share.decodes]
        decodes = [share for share in self.shares.values() if share.decodes]
        tokens = sum(share.tokens for share in prefills)
        doubled_pairs = sum(share.tokens * (2 * share.past_tokens + share.tokens) for share in prefills)
        return Batch(
            prefill_tokens=tokens,
            prefill_seqs=len(prefills),
            prefill_past_tokens=past_tokens(tokens, len(prefills), doubled_pairs),
            decode_seqs=len(decodes),
            context_tokens=sum(share.past_tokens + 1 for share in decodes),
        )


def past_tokens(tokens: int, seqs: int, doubled_pairs: int) -> float:
    """Cached tokens before each of `seqs` equal prompt chunks that have as many query-key pairs as the real ones.

        seqs · (c·past + c²/2) = pairs, c = tokens / seqs   ⇒   past = pairs / tokens − c/2, and never below 0

    One chunk of 100 after 300: (100·300 + 100²/2) / 100 − 50 = 300.
    """
    return max(0.0, doubled_pairs / (2 * tokens) - tokens / (2 * seqs)) if tokens else 0.0


class Waiting:
    """Requests not admitted yet: first come, first served with the preempted in front, or by priority."""

    def __init__(self, by_priority: bool) -> None:
        self.by_priority = by_priority
        self._line: deque[Request] = deque()
        self._heap: list[tuple[tuple[int, int, int], Request]] = []

    def __len__(self) -> int:
        return len(self._heap) if self.by_priority else len(self._line)

    def add(self, request: Request, *, in_front: bool = False) -> None:
        if self.by_priority:
            heapq.heappush(self._heap, (request.urgency, request))
        elif in_front:
            self._line.appendleft(request)
        else:
            self._line.append(request)

    def first(self) -> Request:
        return self._heap[0][1] if self.by_priority else self._line[0]

    def pop(self) -> Request:
        return heapq.heappop(self._heap)[1] if self.by_priority else self._line.popleft()

    def remove(self, request: Request) -> None:
        if self.by_priority:
            self._heap.remove((request.urgency, request))
            heapq.heapify(self._heap)
        else:
            self._line.remove(request)


class Scheduler:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pool = BlockPool(settings.kv_blocks, settings.prefix_caching)
        self.waiting = Waiting(settings.by_priority)
        self.running: list[Request] = []
        self.ready: deque[Request] = deque()  # their caches have come from another pool

    @property
    def is_empty(self) -> bool:
        return not self.running and not self.waiting and not self.ready

    def add(self, request: Request) -> None:
        self.waiting.add(request)

    def release(self, request: Request) -> None:
        """Its cache has moved to another pool."""
        self.pool.release(request.blocks)
        request.blocks = []

    def schedule(self) -> Step:
        """The next step. Computed tokens advance at once; `update` follows when its tokens are there."""
        step = Step()
        budget = self._schedule_running(step, self.settings.max_num_batched_tokens)
        if not step.preempted:
            self._admit(step, budget)
        for share in step.shares.values():
            share.request.computed_tokens += share.tokens
            share.request.unseen_tokens += share.yields
        return step

    def update(self, step: Step, clock_ps: int) -> list[Request]:
        """The step's tokens are there: answers grow, the finished leave. Returns those."""
        finished = []
        for share in step.shares.values():
            request = share.request
            lost_its_place = request.preemptions > share.preemptions
            if not share.yields:
                continue
            request.generated_tokens += 1
            request.first_ps = clock_ps if request.first_ps < 0 else request.first_ps
            request.last_ps = clock_ps
            if not lost_its_place:
                request.unseen_tokens -= 1
                self._publish(request, request.computed_tokens - request.unseen_tokens)
            if request.is_finished:
                finished.append(request)
                self._leave(request, was_waiting=lost_its_place)
        return finished

    def _schedule_running(self, step: Step, budget: int) -> int:
        place = 0
        while place < len(self.running) and budget > 0:
            request = self.running[place]
            if request.unseen_tokens and request.generated_tokens + request.unseen_tokens >= request.osl_tokens:
                place += 1  # its last token is under way
                continue
            need = request.tokens + request.unseen_tokens - request.computed_tokens
            tokens = min(need, budget)
            while not self._allocate(request, request.computed_tokens + tokens):
                victim = self._victim()
                at = self.running.index(victim)
                place -= at < place
                del self.running[at]
                if victim.index in step.shares:
                    budget += step.shares.pop(victim.index).tokens
                self._preempt(victim, step)
                if victim is request:
                    return budget
            budget -= self._put(step, request, tokens)
            place += 1
        return budget

    def _admit(self, step: Step, budget: int) -> None:
        while (self.ready or self.waiting) and budget > 0 and len(self.running) < self.settings.max_num_seqs:
            if self.ready:  # who holds blocks goes first
                budget -= self._let_in(step, self.ready.popleft())
                continue
            request = self.waiting.first()
            if request.is_elsewhere and not request.preemptions:
                if not self._fetch(step, request):
                    return
                continue
            hits = self._find(request)
            hit_tokens = len(hits) * self.settings.block_size
            there = hit_tokens
            if not request.preemptions:
                there = max(hit_tokens, min(request.loaded_tokens, request.tokens - 1))
            tokens = min(request.tokens - there, budget)
            needed = self._blocks_for(request.tokens) - len(hits) + self.pool.idle(hits)
            if needed > self.pool.free_blocks:
                return
            self.waiting.pop()
            self.pool.share(hits)
            request.blocks = hits
            request.cached_blocks = len(hits)
            request.computed_tokens = there
            if not request.preemptions:
                request.hit_tokens = hit_tokens
            if hit_tokens:
                step.hit_tokens[request.index] = hit_tokens
            self._allocate(request, there + tokens)
            self.running.append(request)
            budget -= self._put(step, request, tokens)

    def _fetch(self, step: Step, request: Request) -> bool:
        """Blocks for the prompt of a request whose cache is with another pool; False when they are too few."""
        hits = self._find(request)
        if self._blocks_for(request.tokens) - len(hits) + self.pool.idle(hits) > self.pool.free_blocks:
            return False
        self.waiting.pop()
        self.pool.share(hits)
        request.blocks = hits + self.pool.take(self._blocks_for(request.tokens) - len(hits))
        request.cached_blocks = len(hits)
        request.hit_tokens = len(hits) * self.settings.block_size
        step.fetches.append(request)
        return True

    def _let_in(self, step: Step, request: Request) -> int:
        """All but the last token of its prompt has come."""
        request.computed_tokens = request.tokens - 1
        self._allocate(request, request.tokens)
        self.running.append(request)
        return self._put(step, request, 1)

    def _put(self, step: Step, request: Request, tokens: int) -> int:
        yields = request.computed_tokens + tokens >= request.tokens + request.unseen_tokens
        answered = request.generated_tokens + request.unseen_tokens > 0
        step.shares[request.index] = Share(
            request=request,
            tokens=tokens,
            past_tokens=request.computed_tokens,
            yields=yields,
            decodes=yields and tokens == 1 and answered,
            preemptions=request.preemptions,
        )
        return tokens

    def _victim(self) -> Request:
        if self.settings.by_priority:
            return max(self.running, key=lambda request: (request.priority, request.arrival_ps))
        return self.running[-1]

    def _preempt(self, victim: Request, step: Step) -> None:
        self.pool.release(victim.blocks)
        victim.blocks, victim.cached_blocks = [], 0
        victim.computed_tokens = victim.unseen_tokens = 0
        victim.preemptions += 1
        self.waiting.add(victim, in_front=True)
        step.preempted.append(victim)

    def _leave(self, request: Request, *, was_waiting: bool) -> None:
        if was_waiting:
            self.waiting.remove(request)
        else:
            self.running.remove(request)
            if not request.is_lent:
                self.release(request)

    def _blocks_for(self, tokens: int) -> int:
        return -(-tokens // self.settings.block_size)

    def _find(self, request: Request) -> list[int]:
        """Cached blocks of the request's known text; its last token is always computed, to have something to sample."""
        if not self.settings.prefix_caching:
            return []
        return self.pool.find(map(request.block_key, range((request.tokens - 1) // self.settings.block_size)))

    def _allocate(self, request: Request, tokens: int) -> bool:
        """Blocks for the first `tokens` of the request, or False when there are too few; full ones become findable."""
        more = self._blocks_for(tokens) - len(request.blocks)
        if more > self.pool.free_blocks:
            return False
        if more > 0:
            request.blocks += self.pool.take(more)
        self._publish(request, min(tokens, request.tokens))
        return True

    def _publish(self, request: Request, tokens: int) -> None:
        if self.settings.prefix_caching:
            for place in range(request.cached_blocks, tokens // self.settings.block_size):
                self.pool.publish(request.blocks[place], request.block_key(place))
                request.cached_blocks = place + 1
