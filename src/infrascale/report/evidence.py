"""The report's sections on how far to trust it: risks, what was measured near it, where its numbers are from.

In: Plan, how sure it is.    Out: blocks.
"""

from __future__ import annotations

from collections.abc import Iterator

from infrascale.certainty import Certainty
from infrascale.locales import Words
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Constraint, Plan
from infrascale.report import facts
from infrascale.report.blocks import Block, Bullets, Heading, Table, Text

#: A promise with less slack than this is called tight.
TIGHT = 0.1


def risks(found: Plan, best: Candidate, sure: Certainty, words: Words, own: bool) -> Iterator[Block]:
    scenario, deployment = found.scenario, best.deployment
    lines = []
    tight = min(
        (c for c in best.checks if c.constraint in (Constraint.THROUGHPUT, Constraint.WAIT)),
        key=lambda check: check.slack_fraction,
    )
    if tight.slack_fraction < TIGHT:
        lines.append(
            words.say(
                "report.r_slack",
                name=words.say(f"report.constraint.{tight.constraint.value}"),
                slack=words.percent(tight.slack_fraction),
            )
        )
    if sure.high_gpus and sure.high_gpus > best.gpus:
        lines.append(words.say("report.r_sure", high=words.quantity(sure.high_gpus, "gpus")))
    if scenario.habit_is_assumed:
        lines.append(words.say("report.r_assumed"))
    if not best.spare_replicas:
        left = max(0.0, 1 - facts.replicas_a_server(best) / best.replicas)
        lines.append(words.say("report.r_spare", share=words.percent(left)))
    if best.gpus_per_replica > deployment.gpu.gpus_per_server:
        lines.append(words.say("report.r_pipeline"))
    if deployment.quantization.precision != scenario.model.native.precision:
        lines.append(words.say("report.r_format", precision=deployment.quantization.precision))
    promise = scenario.promise
    if promise.is_of_shares:
        lines.append(words.say("report.r_share"))
    if promise.speed_share is None or promise.ttft_share is None:
        lines.append(words.say("report.r_mean"))
    if not own:
        lines.append(words.say("report.r_measured"))
    yield Heading(text=words.say("report.h_risks"))
    yield Bullets(items=tuple(lines))


def evidence(best: Candidate, sure: Certainty, words: Words, own: bool) -> Iterator[Block]:
    vendor = best.deployment.gpu.vendor
    yield Heading(text=words.say("report.h_evidence"))
    text = words.say("report.e_model")
    if vendor != "nvidia":
        text += " " + words.say("report.e_vendor", vendor=vendor.upper() if vendor == "amd" else vendor.capitalize())
    yield Text(text=text)
    if sure.low_gpus and sure.high_gpus:
        yield Text(
            text=words.say(
                "report.e_sure",
                confidence=words.percent(sure.confidence_fraction),
                low_speed=words.number(sure.token_per_s[0], 1),
                high_speed=words.number(sure.token_per_s[1], 1),
                low_ttft=words.quantity(sure.ttft_s[0], "s"),
                high_ttft=words.quantity(sure.ttft_s[1], "s"),
                low=words.quantity(sure.low_gpus, "gpus"),
                high=words.quantity(sure.high_gpus, "gpus"),
            )
        )
    near = sure.evidence
    if own:
        return
    if near is None:
        yield Text(text=words.say("report.e_near_none"))
    else:
        error = words.percent(near.error_fraction)
        yield Text(text=words.say(f"report.e_near_{near.near}", n=words.number(near.measurements), error=error))


def assumptions(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    model, engine = best.deployment.model, best.deployment.engine
    values = words.say(
        "report.a_engine_value",
        seqs=words.number(best.max_batch),
        tokens=words.number(engine.max_num_batched_tokens),
        share=words.percent(engine.gpu_memory_utilization),
    )
    rows = [
        *_card(best, words),
        (
            words.say("report.a_model"),
            words.say("report.a_params", n=words.number(model.params / 1e9, 1)),
            _model_source(asked, words),
        ),
        (words.say("report.a_engine"), values, "vLLM 0.33.0, vllm/engine/arg_utils.py (2026-11-24)"),
    ]
    if found.scenario.habit_is_assumed and found.scenario.requests_per_user_hour:
        hourly = words.short(found.scenario.requests_per_user_hour)
        rows.append((words.say("report.a_users"), hourly, "llm-d-planner 0.3.3 (2026-11-24)"))
    yield Heading(text=words.say("report.h_assumptions"))
    yield Table(
        header=tuple(words.say(f"report.a_{k}") for k in ("what", "value", "source")), rows=tuple(rows), fine=True
    )


def _card(best: Candidate, words: Words) -> list[tuple[str, str, str]]:
    """The GPU's facts that the answer rests on, with their sources."""
    gpu, precision = best.deployment.gpu, best.deployment.quantization.precision

    def source(key: str) -> str:
        one = gpu.sources.get(key)
        return f"{words.say(f'report.src_{one.kind}')}, {one.at} ({one.checked or one.entered})" if one else ""

    dtype = next((d for d in (precision, "bf16", "fp16") if d in gpu.flop_per_s), "fp32")
    rows = [
        (words.say("report.a_hbm", gpu=gpu.name), words.quantity(gpu.hbm_bytes, "bytes"), source("hbm_bytes")),
        (
            words.say("report.a_bandwidth", gpu=gpu.name),
            words.say("report.terabytes_per_s", n=words.number(gpu.hbm_bytes_per_s / 1e12, 2)),
            source("hbm_bytes_per_s"),
        ),
        (
            words.say("report.a_flops", gpu=gpu.name, dtype=dtype),
            f"{words.number(gpu.flop_per_s[dtype] / 1e12)} TFLOP/s",
            source("flop_per_s"),
        ),
    ]
    if best.gpus_per_replica > 1:
        speed = words.say("report.gigabytes_per_s", n=words.number(gpu.link.bytes_per_s / 1e9))
        rows.append((words.say("report.a_link", gpu=gpu.name), speed, source("link")))
    return rows


def _model_source(asked: Question, words: Words) -> str:
    from infrascale import catalog
    from infrascale.errors import CatalogError

    try:
        _, entry = catalog.find("models", asked.model)
    except CatalogError:
        return words.say("report.src_user")
    one = entry.get("sources", {}).get("config")
    return (
        f"{words.say('report.src_published')}, {one['at']} ({one.get('checked') or one.get('entered')})" if one else ""
    )
