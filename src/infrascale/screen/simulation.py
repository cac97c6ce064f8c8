"""A simulation as people and machines read it, and a plan's verification. Needs what the simulator needs.

In: Simulation, Fates, Verdicts.    Out: lines within 80 columns in the reader's language; or JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from infrascale.locales import Words, words
from infrascale.planning.scenario import Promise
from infrascale.screen.record import cut
from infrascale.screen.text import paragraph
from infrascale.serving import Performance, Saturated, Spread
from infrascale.serving.simulation.outcome import Outcome
from infrascale.simulating.failures import Fates
from infrascale.simulating.run import Simulation
from infrascale.simulating.verify import Verdict

SHARES = (0.5, 0.9, 0.95, 0.99)


# --- for people -----------------------------------------------------------------------------------------------------


def simulation_lines(found: Simulation, fates: Fates | None = None, say: Words | None = None) -> list[str]:
    w = say or words()
    lines = [*_head(w, found), "", *_times(w, found), "", *_felt(w, found)]
    steady = found.circumstances.pattern.is_steady and found.circumstances.is_calm
    if isinstance(found.analytic, Saturated) or (steady and found.outcome.queue_grows):
        lines += ["", *paragraph(_saturation(w, found), "  ")]
    if not steady:
        lines += ["", *_course(w, found)]
    if fates is not None:
        lines += ["", *_fates(w, fates)]
    if found.upheaval:
        lines += ["", *_upheaval(w, found)]
    return lines


def _head(w: Words, found: Simulation) -> list[str]:
    best, told = found.candidate, found.circumstances
    replicas = w.quantity(found.replicas, "replicas")
    if told.prefill_replicas:
        pools = {"prefill": told.prefill_replicas, "decode": found.replicas - told.prefill_replicas}
        replicas = w.say("simulated.pools", **pools)
    name = f"{replicas} × {w.quantity(best.gpus_per_replica, 'gpus')} ({best.deployment.gpu.name})"
    rate = w.quantity(found.outcome.performance.request_per_s * _serving(found), "request_per_s")
    judged = w.quantity(found.outcome.judged_requests, "requests")
    said = w.say("simulated.traffic", requests=judged, span=w.number(found.span_s), rate=rate,
                 policy=told.policy, seed=told.seed)  # fmt: skip
    lines = [*paragraph(f"{name}, {found.scenario.model.id}", ""), *paragraph(said, "  ")]
    if found.refused_requests:
        lines += paragraph(w.say("simulated.refused", n=found.refused_requests), "  ")
    return lines


def _serving(found: Simulation) -> int:
    """Replicas over which the outcome's rates are means."""
    return found.replicas - (found.circumstances.prefill_replicas or 0)


def _times(w: Words, found: Simulation) -> list[str]:
    felt = found.outcome.performance
    theory = found.analytic if isinstance(found.analytic, Performance) else None
    heads = (w.say("simulated.mean"), "p50", "p90", "p95", "p99", w.say("simulated.width"))
    lines = [f"  {w.say('simulated.seconds'):<22}" + "".join(f"{head:>9}" for head in heads)]
    for key in ("ttft", "tpot", "itl", "e2e"):
        spread: Spread | None = getattr(felt, f"{key}_s")
        if spread is None:
            continue
        width = found.outcome.half_widths_s.get((key, 0.95))
        lines.append(_row(w, key.upper(), spread) + (f"{w.number(width, 4):>9}" if width is not None else ""))
        told = getattr(theory, f"{key}_s", None)
        if told is not None:
            lines.append(_row(w, "  " + w.say("simulated.analytic"), told))
    if found.urgent is not None:
        lines.append(_row(w, f"TTFT, {w.say('simulated.urgent')}", found.urgent.performance.ttft_s))
    return lines


def _row(w: Words, name: str, spread: Spread) -> str:
    cells = (spread.mean_s, *(spread.quantiles_s.get(share, 0.0) for share in SHARES))
    return f"  {name:<22}" + "".join(f"{w.number(cell, 4 if cell < 1000 else 0):>9}" for cell in cells)


def _felt(w: Words, found: Simulation) -> list[str]:
    result, promise = found.outcome, found.scenario.promise
    felt, replicas = result.performance, _serving(found)
    rate, good = felt.request_per_s * replicas, result.goodput_request_per_s
    rows = [
        ("kept", w.say("simulated.kept_value", share=w.percent(result.kept_fraction, 2),
                       ttft=w.quantity(promise.ttft_s, "s"),
                       speed=w.quantity(promise.token_per_s, "token_per_s"))),
        ("goodput", w.say("simulated.goodput_value", good=w.number(good, 2), rate=w.quantity(rate, "request_per_s"))),
        *_each(w, found),
        ("preemptions", w.say("simulated.preemptions_value", count=w.number(result.preemptions),
                              hits=w.percent(result.hit_fraction))),
        ("balance", w.say("simulated.balance_value", low=w.number(min(result.requests_by_replica)),
                          high=w.number(max(result.requests_by_replica)))),
    ]  # fmt: skip
    if found.most_request_per_s is not None:
        most = w.quantity(found.most_request_per_s, "request_per_s")
        rows.append(("most", w.say("simulated.most_value", rate=most)))
    if result.sent_again:
        rows.append(("again", w.quantity(result.sent_again, "requests")))
    if found.circumstances.autoscaler:
        mean = sum(piece.replicas_alive for piece in found.pieces) / len(found.pieces)
        rows.append(("alive", w.number(mean, 1)))
    return [line for key, text in rows for line in paragraph(text, f"  {w.say(f'simulated.{key}'):<20}")]


def _each(w: Words, found: Simulation) -> list[tuple[str, str]]:
    """How busy a replica is; of pools, an engine of each."""
    felt, count, records = found.outcome.performance, _serving(found), found.records
    levels = {"each": (felt.running_seqs, felt.waiting_seqs, felt.kv_used_fraction)}
    if found.circumstances.prefill_replicas and records.series.size:
        halves = {"each_prompts": records.series[:, count:], "each_answers": records.series[:, :count]}
        means = {key: half[..., :3].mean(axis=(0, 1)) for key, half in halves.items()}
        levels = {key: (float(a), float(b), float(c) / records.blocks) for key, (a, b, c) in means.items()}
    return [
        (key, w.say("simulated.each_value", running=w.number(a, 1), waiting=w.number(b, 1), cache=w.percent(c)))
        for key, (a, b, c) in levels.items()
    ]


def _saturation(w: Words, found: Simulation) -> str:
    if isinstance(found.analytic, Saturated):
        rates = {"offered": found.offered_request_per_s, "most": found.analytic.request_per_s * _serving(found)}
        return w.say("simulated.saturated", **{key: w.quantity(v, "request_per_s") for key, v in rates.items()})
    return w.say("simulated.grows")


def _course(w: Words, found: Simulation) -> list[str]:
    """The span in equal stretches: what came, who was there, what those felt."""
    names = [w.say(f"simulated.{key}") for key in ("from", "rate", "alive")]
    head = f"  {names[0]:<12}{names[1]:>13}{names[2]:>12}{'TTFT p50':>13}{'TTFT p95':>13}{w.say('simulated.kept'):>15}"
    lines = [head]
    for piece in found.pieces:
        lines.append(
            f"  {_clock(w, piece.from_s, found):<12}{w.number(piece.request_per_s, 1):>13}"
            f"{w.number(piece.replicas_alive, 1):>12}{w.quantity(piece.ttft_p50_s, 's'):>13}"
            f"{w.quantity(piece.ttft_p95_s, 's'):>13}{w.percent(piece.kept_fraction, 1):>15}"
        )
    return lines


def _clock(w: Words, at_s: float, found: Simulation) -> str:
    """The hour of the week where there is a profile, else seconds."""
    if found.circumstances.pattern.profile is None:
        return f"{w.number(at_s)} s"
    second = found.circumstances.pattern.from_s + at_s
    hour = f"{int(second // 3600) % 24:02d}:{int(second // 60) % 60:02d}"
    return f"{w.say('simulated.day')} {int(second // 86400) + 1} {hour}"


def _fates(w: Words, fates: Fates) -> list[str]:
    title = w.say("simulated.fates", begin=w.number(fates.from_s), end=w.number(fates.until_s))
    head = f"  {'':<30}{'TTFT p50':>11}{'TTFT p95':>11}{'TPOT p95':>11}{w.say('simulated.kept'):>15}"
    lines = [*paragraph(title, "  "), head]
    for fate in fates.fates:
        felt = fate.outcome.performance
        name = w.say(f"simulated.{fate.code}", n=fate.replicas)
        which = ((felt.ttft_s, 0.5), (felt.ttft_s, 0.95), (felt.tpot_s, 0.95))
        times = "".join(f"{w.quantity(spread.quantiles_s.get(share, 0.0), 's'):>11}" for spread, share in which)
        lines.append(f"  {name:<30.30}{times}{w.percent(fate.outcome.kept_fraction, 2):>15}")
    return lines


def _upheaval(w: Words, found: Simulation) -> list[str]:
    worst = max(found.upheaval, key=lambda instant: instant.wait_s)
    said = w.say("simulated.transient", waits=w.percent(worst.waits), wait=w.quantity(worst.wait_s, "s"),
                 at=w.number(worst.at_s), inside=w.number(worst.in_flight, 1))  # fmt: skip
    return paragraph(said, "  ")


def verdict_lines(verdicts: Sequence[Verdict], promise: Promise, say: Words | None = None) -> list[str]:
    """What simulation says of the short list."""
    if not verdicts:
        return []
    w = say or words()
    first = verdicts[0].found
    span = {"span": w.number(first.span_s), "seed": first.circumstances.seed}
    share = "" if promise.ttft_share is None else f" p{promise.ttft_share * 100:.0f}"
    slow = "" if promise.speed_share is None else f" p{100 - promise.speed_share * 100:.0f}"
    names = [w.say(f"simulated.{key}") for key in ("planned", "needed")]
    lines = ["", *paragraph(w.say("simulated.verified", **span), "  ")]
    lines.append(f"  {'':<28}{names[0]:>10}{names[1]:>10}{'TTFT' + share:>13}{w.say('simulated.speed') + slow:>17}")
    for verdict in verdicts:
        lines.append(_verdict_row(w, verdict.planned.replicas, verdict, verdict.as_planned, promise))
        if verdict.is_raised:
            lines.append(_verdict_row(w, None, verdict, verdict.found, promise))
    key = "confirmed" if not any(v.is_raised for v in verdicts) else "raised"
    if all(verdict.candidate is None for verdict in verdicts):
        key = "never"
    return [*lines, *paragraph(w.say(f"simulated.{key}"), "  ")]


def _verdict_row(w: Words, planned: int | None, verdict: Verdict, of: Simulation, promise: Promise) -> str:
    felt = of.outcome.performance
    needed = verdict.candidate.replicas if verdict.candidate else None
    shown = needed if planned is None or needed == planned else None
    ttft, speed = promise.ttft_of(felt), 1 / max(1e-9, promise.tpot_of(felt))
    return (
        f"  {cut(verdict.planned) if planned is not None else '':<28.28}{w.number(planned) if planned else '':>10}"
        f"{w.number(shown) if shown else '–':>10}{w.quantity(ttft, 's'):>13}{w.quantity(speed, 'token_per_s'):>17}"
    )


# --- for machines ---------------------------------------------------------------------------------------------------


def simulation_json(found: Simulation, fates: Fates | None = None) -> dict[str, Any]:
    result, told, replicas = found.outcome, found.circumstances, _serving(found)
    felt = result.performance
    saturated = isinstance(found.analytic, Saturated)
    return {
        "model": found.scenario.model.id,
        "gpu": found.candidate.deployment.gpu.id,
        "gpus_per_replica": found.candidate.gpus_per_replica,
        "replicas": replicas,
        "prefill_replicas": told.prefill_replicas,
        "policy": told.policy,
        "seed": told.seed,
        "span_s": found.span_s,
        "judged_requests": result.judged_requests,
        "unanswered_requests": result.unanswered_requests,
        "refused_requests": found.refused_requests,
        "sent_again": result.sent_again,
        "queue_grows": result.queue_grows,
        "saturated": saturated,
        "offered_request_per_s": found.offered_request_per_s,
        "most_request_per_s": found.most_request_per_s,
        "request_per_s": felt.request_per_s * replicas,
        "output_token_per_s": felt.output_token_per_s * replicas,
        "goodput_request_per_s": result.goodput_request_per_s,
        "kept_fraction": result.kept_fraction,
        "running_seqs_per_replica": felt.running_seqs,
        "waiting_seqs_per_replica": felt.waiting_seqs,
        "kv_used_fraction": felt.kv_used_fraction,
        "preemptions": result.preemptions,
        "prefix_hit_fraction": result.hit_fraction,
        "requests_by_replica": list(result.requests_by_replica),
        **_spreads(felt),
        "half_width_95_s": {
            f"{name}_{key if isinstance(key, str) else f'p{100 * key:g}'}": width
            for (name, key), width in result.half_widths_s.items()
        },
        "analytic": _spreads(found.analytic) if isinstance(found.analytic, Performance) else None,
        "urgent": _spreads(found.urgent.performance) if found.urgent else None,
        "course": [{name: getattr(piece, name) for name in piece.__dataclass_fields__} for piece in found.pieces],
        "upheaval": [{key: getattr(one, key) for key in one.__dataclass_fields__} for one in found.upheaval],
        "failures": _fates_json(fates) if fates else None,
    }


def _spreads(felt: Performance) -> dict[str, Any]:
    spreads = {"ttft": felt.ttft_s, "tpot": felt.tpot_s, "itl": felt.itl_s, "e2e": felt.e2e_s}
    return {
        f"{name}_s": {"mean": spread.mean_s, **{f"p{100 * q:g}": s for q, s in spread.quantiles_s.items()}}
        for name, spread in spreads.items()
        if spread is not None
    }


def _felt_json(result: Outcome) -> dict[str, Any]:
    return {
        "judged_requests": result.judged_requests,
        "kept_fraction": result.kept_fraction,
        "queue_grows": result.queue_grows,
        **_spreads(result.performance),
    }


def _fates_json(fates: Fates) -> dict[str, Any]:
    return {
        "from_s": fates.from_s,
        "until_s": fates.until_s,
        "cases": [{"case": f.code, "replicas": f.replicas, **_felt_json(f.outcome)} for f in fates.fates],
    }


def verdicts_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """What `plan --verify --json` adds."""
    return {
        "verified": [
            {
                "way": cut(verdict.planned),
                "planned_replicas": verdict.planned.replicas,
                "replicas": verdict.candidate.replicas if verdict.candidate else None,
                "gpus": verdict.candidate.gpus if verdict.candidate else None,
                "seed": verdict.found.circumstances.seed,
                "span_s": verdict.found.span_s,
                "as_planned": _felt_json(verdict.as_planned.outcome),
                "as_verified": _felt_json(verdict.found.outcome),
            }
            for verdict in verdicts
        ]
    }
