"""A recorded run of vLLM's own scheduler, and where ours decides otherwise.

In: the question (requests, knobs, a linear step time) and vLLM's decisions, one object a step, as printed by a driver
that runs its scheduler on a virtual clock.    Out: the differences, one line each; none is the aim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from infrascale.serving.simulation.replica import Moment, simulate
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.work import Batch

BLOCK_TOKENS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`rows`: arrival_s, prompt_tokens, output_tokens, prefix_id, prefix_tokens, priority. `step_s`: a step takes
    a + b · prompt tokens + c · decoding requests seconds."""

    rows: Sequence[Mapping[str, float]]
    max_num_seqs: int
    max_num_batched_tokens: int
    blocks: int
    prefix_caching: bool
    by_priority: bool
    step_s: tuple[float, float, float]

    @property
    def settings(self) -> Settings:
        return Settings(
            kv_blocks=self.blocks,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            block_size=BLOCK_TOKENS,
            prefix_caching=self.prefix_caching,
            by_priority=self.by_priority,
        )

    def timer(self, batch: Batch) -> float:
        fixed, per_prompt_token, per_decode = self.step_s
        return fixed + per_prompt_token * batch.prefill_tokens + per_decode * batch.decode_seqs

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def requests_of(asked: Question) -> list[Request]:
    """The driver's requests in our terms. It answers with one and the same token, so that requests whose whole prompt
    is a shared prefix of one length have one text to the end."""
    rows = sorted(asked.rows, key=lambda row: float(row["arrival_s"]))
    texts: dict[tuple[int, int], int] = {}
    found = []
    for i, row in enumerate(rows):
        group, shared, length = int(row["prefix_id"]), int(row["prefix_tokens"]), int(row["prompt_tokens"])
        whole = shared == length
        stream = texts.setdefault((group, length), i) if whole else i
        found.append(
            Request(
                index=i,
                arrival_ps=round(float(row["arrival_s"]) * PS_PER_S),
                isl_tokens=length,
                osl_tokens=int(row["output_tokens"]),
                stream=stream,
                prefix=-1 - group,
                prefix_blocks=shared // BLOCK_TOKENS,
                priority=int(row["priority"]),
            )
        )
    return found


def differences(asked: Question, recorded: Sequence[Mapping[str, Any]]) -> list[str]:
    """Steps, and requests' times, on which vLLM and the plain mode disagree.

    The driver's clock also counts a step in which the last of the running preempted itself, and nothing runs; such time
    is taken off its requests'.
    """
    moments: list[Moment] = []
    requests = simulate(requests_of(asked), asked.timer, asked.settings, moments.append)
    theirs = [line for line in recorded if "step" in line]
    ours = [decision(moment) for moment in moments]
    found = []
    for number in range(max(len(theirs), len(ours))):
        they = {key: theirs[number][key] for key in KEYS} if number < len(theirs) else None
        we = ours[number] if number < len(ours) else None
        if they != we or (they and list(they["scheduled"]) != list(we["scheduled"])):
            found.append(f"step {number}: vLLM {they}, simulated {we}")
    empty = [step["clock_s"] for step in theirs if not step["scheduled"]]
    for line, request in zip((line for line in recorded if "request" in line), requests, strict=True):
        came_s = request.arrival_ps / PS_PER_S
        idle = [asked.step_s[0] * sum(came_s <= at < came_s + line[key] for at in empty) for key in ("ttft_s", "e2e_s")]
        they = (line["ttft_s"] - idle[0], line["e2e_s"] - idle[1], line["preemptions"])
        waits_ps = (request.first_ps - request.arrival_ps, request.last_ps - request.arrival_ps)
        we = (waits_ps[0] / PS_PER_S, waits_ps[1] / PS_PER_S, request.preemptions)
        if max(abs(a - b) for a, b in zip(they, we, strict=True)) > 1e-6:
            found.append(f"{line['request']}: vLLM {they}, simulated {we}")
    return found


KEYS = ("scheduled", "cached", "preempted", "running", "waiting", "free_blocks")


def decision(moment: Moment) -> dict[str, Any]:
    """One of our steps in the driver's words."""
    step = moment.step
    return {
        "scheduled": {f"r{i}": share.tokens for i, share in step.shares.items()},
        "cached": {f"r{i}": hit for i, hit in step.hit_tokens.items() if not step.shares[i].preemptions},
        "preempted": sorted(f"r{request.index}" for request in step.preempted),
        "running": moment.running_seqs,
        "waiting": moment.waiting_seqs,
        "free_blocks": moment.free_blocks,
    }
