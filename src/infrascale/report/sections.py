"""The report, section by section, as blocks in one language.

In: Plan, question, language, date.    Out: Paper. An infeasible plan is reported with what came nearest.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from math import ceil

from infrascale.errors import ExportError
from infrascale.exports.serving import plan_hash
from infrascale.parsing.plans import VERSION, command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Check, Constraint, Plan, Rejection
from infrascale.report import facts, figures
from infrascale.report.blocks import Answer, Block, Bullets, Code, Figure, Heading, Paper, Table, Text
from infrascale.report.wording import Words
from infrascale.units import GIB

#: A promise with less slack than this is called tight.
TIGHT = 0.1
MOST_OTHERS = 6
ENGINES = {"vllm": "vLLM", "sglang": "SGLang", "trtllm": "TensorRT-LLM"}


def sections(found: Plan, asked: Question, language: str, on: date) -> Paper:
    words, best = Words(language), found.best
    if best is None:
        raise ExportError(
            "an infeasible plan has no decision to report",
            why="no number of these GPUs keeps the promise",
            fix=f"{command(asked, found.solver)} names the nearest change",
        )
    names = {"version": VERSION, "hash": plan_hash(found, asked)}
    blocks = (
        answer(found, best, asked, words),
        *question(found, best, asked, words),
        *why(found, best, words),
        *growth(found, best, asked, words),
        *moves(found, best, asked, words),
        *others(found, best, words),
        *memory(best, words),
        *risks(found, best, words),
        *evidence(found, best, words),
        *assumptions(found, best, asked, words),
        Heading(text=words("h_again")),
        Text(text=words("again")),
        Code(text=command(asked, found.solver)),
    )
    return Paper(
        language=language,
        title=words("title", model=found.scenario.model.id),
        subtitle=words("subtitle", on=words.date(on), **names),
        footer=words("footer", **names),
        blocks=blocks,
    )


def demand(asked: Question, words: Words) -> str:
    key, value = facts.demand_of(asked)
    return words(f"demand_{key}", n=words.short(value))


def in_flight(best: Candidate) -> float:
    """Requests in flight at the peak, over all replicas that the plan needs."""
    return best.load * best.max_batch * best.replicas


def replicas_a_server(best: Candidate) -> int:
    """Whole replicas that a server holds; at least one of a replica that spans several."""
    return max(1, best.deployment.gpu.gpus_per_server // best.gpus_per_replica)


def servers_of(best: Candidate) -> int:
    """Servers that hold all replicas, none cut between servers without need."""
    spanned = ceil(best.gpus_per_replica / best.deployment.gpu.gpus_per_server)
    return ceil((best.replicas + best.spare_replicas) / replicas_a_server(best)) * spanned


def answer(found: Plan, best: Candidate, asked: Question, words: Words) -> Answer:
    gpu, performance, promise = best.deployment.gpu, best.performance, found.scenario.promise
    replicas = best.replicas + best.spare_replicas
    text = words(
        "answer",
        gpus=words.number(best.gpus),
        gpu=gpu.name,
        demand=demand(asked, words),
        replicas=words.count("replicas", replicas),
        size=words.count("gpus", best.gpus_per_replica),
        spare=words("spare", spare=words.number(best.spare_replicas)) if best.spare_replicas else "",
    )
    proof = words("proof_exact", gpu="GPU" if words.language == "fr" else "GPUs")
    if found.solver != "exact":
        proof = words("proof_search", excess=words.share(found.excess_fraction))
    servers = words.count("servers", servers_of(best))
    speed, ttft = performance.token_per_s_per_request, performance.ttft_s.mean_s
    room = next(check for check in best.checks if check.constraint is Constraint.CAPACITY)
    return Answer(
        text=f"{text} {proof}",
        figures=(
            (words("figure_gpus"), words.number(best.gpus), words("figure_servers", n=servers, of=gpu.gpus_per_server)),
            (
                words("figure_speed"),
                words.number(speed, 1),
                words("promised", value=words.short(promise.token_per_s)),
            ),
            (
                words("figure_ttft"),
                words.quantity(ttft, "s"),
                words("promised", value=f"{words.short(promise.ttft_s)} s"),
            ),
            (
                words("figure_room"),
                words.number(in_flight(best)),
                words("room_of", value=words.number(room.available)),
            ),
        ),
    )


def question(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    scenario, load = found.scenario, found.scenario.workload
    lines = [words("q_demand", demand=demand(asked, words).capitalize(), requests=words.number(in_flight(best)))]
    if scenario.requests_per_user_is_assumed and scenario.requests_per_user:
        lines[0] += " " + words("q_assumed", share=words.number(scenario.requests_per_user, 3))
    if asked.agents is not None and asked.requests_per_day is not None:
        lines[0] += " " + words(
            "q_agents",
            adoption=words.share(asked.adoption),
            requests=words.short(asked.requests_per_day),
            peak=words.share(asked.peak_hour),
        )
    if asked.think_s is not None:
        lines[0] += " " + words("q_think", think=words.short(asked.think_s))
    if scenario.headroom_fraction:
        lines[0] += " " + words("q_headroom", share=words.share(scenario.headroom_fraction))
    lines.append(words("q_request", isl=words.number(load.isl_tokens), osl=words.number(load.osl_tokens)))
    if load.prefix_hit_fraction:
        lines[-1] += " " + words("q_prefix", share=words.share(load.prefix_hit_fraction))
    promise = scenario.promise
    lines.append(words("q_promise", speed=words.short(promise.token_per_s), ttft=words.short(promise.ttft_s)))
    engine = best.deployment.engine
    kinds = ", ".join(gpu.name for gpu in scenario.gpus[:6]) + (" …" if len(scenario.gpus) > 6 else "")
    precisions = ", ".join(scenario.precisions) or scenario.model.native.precision
    lines.append(
        words(
            "q_hardware",
            gpus=kinds,
            model=scenario.model.id,
            precision=precisions,
            engine=ENGINES[engine.name] + (f" {engine.version}" if engine.version else ""),
        )
    )
    yield Heading(text=words("h_question"))
    yield Bullets(items=tuple(lines))


def why(found: Plan, best: Candidate, words: Words) -> Iterator[Block]:
    def row(check: Check) -> tuple[str, ...]:
        name = words(check.constraint.value)
        if check is best.binding:
            name = words("binds", name=name)
        return (
            name,
            words.quantity(check.needed, check.unit),
            words.quantity(check.available, check.unit),
            words.share(check.slack_fraction),
        )

    yield Heading(text=words("h_why"))
    yield Table(
        header=tuple(words(f"c_{key}") for key in ("constraint", "needed", "available", "slack")),
        rows=tuple(row(check) for check in best.checks),
        numeric=frozenset({1, 2, 3}),
        strong=frozenset(i for i, check in enumerate(best.checks) if check is best.binding),
    )
    fewer = facts.one_fewer(found, best)
    if fewer:
        check = fewer[1]
        needed, available = (words.quantity(v, check.unit) for v in (check.needed, check.available))
        yield Text(
            text=words(
                "fewer" if needed != available else "fewer_barely",
                gpus=words.number(best.gpus - best.gpus_per_replica),
                name=words(check.constraint.value),
                needed=needed,
                available=available,
            )
        )
    elif best.replicas == 1:
        yield Text(text=words("alone", name=words(best.binds.value)))


def growth(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    key, value = facts.demand_of(asked)
    steps, points = facts.staircase(found, best), facts.load_curve(found, best)
    axis, promise = words(f"axis_{key}"), found.scenario.promise
    yield Heading(text=words("h_growth"))
    yield Figure(
        name="steps",
        svg=figures.staircase(steps, value, best.gpus, axis, words),
        caption=words("f_steps", gpu=best.deployment.gpu.name, size=words.count("gpus", best.gpus_per_replica)),
        alt=words(
            "f_steps_alt",
            low=steps[0][1], x_low=words.short(steps[0][0] * value), gpus=best.gpus, x=words.short(value),
            high=steps[-1][1], x_high=words.short(steps[-1][0] * value), axis=axis,
        ),
    )  # fmt: skip
    kept = [p.share for p in points if p.ttft_s <= promise.ttft_s and p.token_per_s >= promise.token_per_s]
    half, whole, double = (points[round(s * 20) - 1] for s in (0.5, 1.0, 2.0))
    yield Figure(
        name="load",
        svg=figures.load(points, promise.ttft_s, promise.token_per_s, words),
        caption=words("f_load"),
        alt=words(
            "f_load_alt",
            ttft_half=words.number(half.ttft_s, 2), speed_half=words.number(half.token_per_s, 1),
            ttft=words.number(whole.ttft_s, 2), speed=words.number(whole.token_per_s, 1),
            ttft_double=words.number(double.ttft_s, 2), speed_double=words.number(double.token_per_s, 1),
            promise_ttft=words.short(promise.ttft_s), promise_speed=words.short(promise.token_per_s),
        ),
    )  # fmt: skip
    most = max(kept, default=0.0)
    if most:
        yield Text(text=words("breaks_never") if most >= 2 else words("breaks_at", share=words.share(most)))


def moves(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    def gpus(n: int | None) -> str:
        return words("s_none") if n is None else words.number(n)

    rows = [(words(m.key), gpus(m.less), gpus(best.gpus), gpus(m.more)) for m in facts.sensitivity(found, asked)]
    yield Heading(text=words("h_moves"))
    size = words.count("gpus", best.gpus_per_replica)
    yield Text(text=words("s_note", gpu=best.deployment.gpu.name, size=size))
    yield Table(
        header=tuple(words(f"s_{key}") for key in ("input", "less", "asked", "more")),
        rows=tuple(rows),
        numeric=frozenset({1, 2, 3}),
    )


def way(one: Candidate | Rejection) -> str:
    shard = one.deployment.shard
    cut = f"TP {shard.tp}" + "".join(f" {k.upper()} {v}" for k in ("pp", "dp", "ep") if (v := getattr(shard, k)) > 1)
    return f"{one.deployment.gpu.name}, {cut}, {one.deployment.quantization.precision}"


def others(found: Plan, best: Candidate, words: Words) -> Iterator[Block]:
    def row(one: Candidate) -> tuple[str, ...]:
        return (
            words.number(one.gpus),
            way(one),
            words.number(one.replicas + one.spare_replicas),
            words.number(one.performance.token_per_s_per_request, 1),
            words.quantity(one.performance.ttft_s.mean_s, "s"),
            words(one.binds.value),
        )

    yield Heading(text=words("h_others"))
    if found.others:
        yield Table(
            header=tuple(words(f"o_{key}") for key in ("gpus", "way", "replicas", "speed", "ttft", "limit")),
            rows=tuple(row(one) for one in (best, *found.others[:MOST_OTHERS])),
            numeric=frozenset({0, 2, 3, 4}),
            strong=frozenset({0}),
        )
    else:
        yield Text(text=words("o_none"))
    if found.rejected:
        listed = [
            words(
                "o_refused_one",
                way=way(one),
                name=words(one.constraint.value),
                needed=words.quantity(one.needed, one.unit),
                available=words.quantity(one.available, one.unit),
            )
            for one in found.rejected[:3]
        ]
        yield Text(
            text=words("o_refused", list=words("separator").join(listed) + ("…" if len(found.rejected) > 3 else "."))
        )


def memory(best: Candidate, words: Words) -> Iterator[Block]:
    budget = best.memory
    check = next(one for one in best.checks if one.constraint is Constraint.MEMORY)
    sizes = {
        "weights": budget.weights_bytes,
        "cache": check.needed - budget.needed_bytes,
        "activations": budget.activations_bytes,
        "runtime": budget.graphs_bytes + budget.runtime_bytes,
        "free": check.available - check.needed,
        "kept": budget.reserved_bytes,
    }
    parts = [(words(f"m_{key}"), size / GIB) for key, size in sizes.items()]
    yield Heading(text=words("h_memory"))
    yield Figure(
        name="memory",
        svg=figures.memory(parts, words),
        caption=words("f_memory", total=words.number(budget.total_bytes / GIB, 1)),
        alt=words("f_memory_alt", parts=", ".join(f"{name} {words.number(size, 1)}" for name, size in parts)),
    )


def risks(found: Plan, best: Candidate, words: Words) -> Iterator[Block]:
    scenario, deployment = found.scenario, best.deployment
    lines = []
    tight = min(
        (c for c in best.checks if c.constraint in (Constraint.THROUGHPUT, Constraint.WAIT)),
        key=lambda check: check.slack_fraction,
    )
    if tight.slack_fraction < TIGHT:
        lines.append(words("r_slack", name=words(tight.constraint.value), slack=words.share(tight.slack_fraction)))
    if scenario.requests_per_user_is_assumed and scenario.users:
        lines.append(words("r_assumed"))
    if not best.spare_replicas:
        left = max(0.0, 1 - replicas_a_server(best) / best.replicas)
        lines.append(words("r_spare", share=words.share(left)))
    if best.gpus_per_replica > deployment.gpu.gpus_per_server:
        lines.append(words("r_pipeline"))
    if deployment.quantization.precision != scenario.model.native.precision:
        lines.append(words("r_format", precision=deployment.quantization.precision))
    lines += [words("r_mean"), words("r_measured")]
    yield Heading(text=words("h_risks"))
    yield Bullets(items=tuple(lines))


def evidence(found: Plan, best: Candidate, words: Words) -> Iterator[Block]:
    vendor = best.deployment.gpu.vendor
    yield Heading(text=words("h_evidence"))
    text = words("e_model")
    if vendor != "nvidia":
        text += " " + words("e_vendor", vendor=vendor.upper() if vendor == "amd" else vendor.capitalize())
    yield Text(text=text)


def assumptions(found: Plan, best: Candidate, asked: Question, words: Words) -> Iterator[Block]:
    deployment = best.deployment
    gpu, engine, model = deployment.gpu, deployment.engine, deployment.model

    def source(key: str) -> str:
        one = gpu.sources.get(key)
        return f"{words(f'src_{one.kind}')}, {one.at} ({one.checked or one.entered})" if one else ""

    dtype = next((d for d in (deployment.quantization.precision, "bf16", "fp16") if d in gpu.flop_per_s), "fp32")
    rows = [
        (words("a_hbm", gpu=gpu.name), words.quantity(gpu.hbm_bytes, "bytes"), source("hbm_bytes")),
        (
            words("a_bandwidth", gpu=gpu.name),
            f"{words.number(gpu.hbm_bytes_per_s / 1e12, 2)} T{'o' if words.language == 'fr' else 'B'}/s",
            source("hbm_bytes_per_s"),
        ),
        (
            words("a_flops", gpu=gpu.name, dtype=dtype),
            f"{words.number(gpu.flop_per_s[dtype] / 1e12)} TFLOP/s",
            source("flop_per_s"),
        ),
    ]
    if best.gpus_per_replica > 1:
        unit = "Go/s" if words.language == "fr" else "GB/s"
        rows.append(
            (words("a_link", gpu=gpu.name), f"{words.number(gpu.link.bytes_per_s / 1e9)} {unit}", source("link"))
        )
    rows.append(
        (words("a_model"), words("a_params", n=words.number(model.params / 1e9, 1)), _model_source(asked, words))
    )
    values = words(
        "a_engine_value",
        seqs=words.number(best.max_batch),
        tokens=words.number(engine.max_num_batched_tokens),
        share=words.share(engine.gpu_memory_utilization),
    )
    rows.append((words("a_engine"), values, "vLLM 0.33.0, vllm/engine/arg_utils.py (2026-11-24)"))
    if found.scenario.requests_per_user_is_assumed:
        rows.append((words("a_users"), words.number(0.4, 1), "llm-d-planner 0.3.3 (2026-11-24)"))
    yield Heading(text=words("h_assumptions"))
    yield Table(header=tuple(words(f"a_{k}") for k in ("what", "value", "source")), rows=tuple(rows), fine=True)


def _model_source(asked: Question, words: Words) -> str:
    from infrascale import catalog
    from infrascale.errors import CatalogError

    try:
        _, entry = catalog.find("models", asked.model)
    except CatalogError:
        return words("src_user")
    one = entry.get("sources", {}).get("config")
    return f"{words('src_published')}, {one['at']} ({one.get('checked') or one.get('entered')})" if one else ""
