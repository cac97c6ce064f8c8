"""The screens of `infrascale growth`, `sensitivity` and `study`.

In: Growth, Swings, Distribution, counts; Words.    Out: lines within 80 columns.
"""

from __future__ import annotations

from datetime import date

from infrascale.locales import Words, words
from infrascale.screen.text import fit, paragraph
from infrascale.studies.growth import Growth, Step
from infrascale.studies.record import RISKS
from infrascale.studies.regret import ahead_above, total
from infrascale.studies.screens.cost import between, quoted
from infrascale.studies.sensitivity import Distribution, Swing


def growth_lines(found: Growth, today: date, say: Words | None = None) -> list[str]:
    w = say or words()
    columns = ("quarter", "users", "gpus_needed", "to_buy", "servers", "order", "late")
    heads = [w.say(f"decision.{key}") for key in columns]
    lines = [*paragraph(w.say("decision.growth", n=found.gpus_per_server, gpu=found.gpu), ""), ""]
    counts = f"{heads[1]:>12}{heads[2]:>12}{heads[3]:>11}{heads[4]:>9}"
    lines.append(f"  {heads[0]:<10}{counts}  {heads[5]:<12}{heads[6]:>9}")
    lines += [_quarter(w, step) for step in found.steps]
    if late := too_late(w, found, today):
        lines += ["", *paragraph(late, "  ")]
    idle = w.say("decision.all_at_once", n=found.idle_gpu_quarters)
    lines += ["", *paragraph(w.say("decision.late_means"), "  "), *paragraph(idle, "  ")]
    return [*lines, "", *_regrets(w, found, today)]


def too_late(w: Words, found: Growth, today: date) -> str | None:
    late = [str(step.start) for step in found.steps if step.order_by and step.order_by < today]
    return w.say("decision.too_late", quarters=", ".join(late)) if late else None


def _regrets(w: Words, found: Growth, today: date) -> list[str]:
    """In money: each purchase a quarter too early and too late, all at once, and when to order ahead."""
    one = found.upkeep
    if one is None:
        return [line for text in said_of(w, found, today) for line in paragraph(text, "  ")]
    heads = [w.say(f"decision.{key}") for key in ("quarter", "early_costs", "late_costs")]
    lines = [f"  {heads[0]:<10}{heads[1]:>32}{heads[2]:>34}"]
    for step in found.steps:
        if step.regret:
            early, late = (f"{between(w, pair)} {one.currency}" for pair in (step.regret.early, step.regret.late))
            lines.append(f"  {step.start}{early:>32}{late:>34}")
    return [*lines, "", *(line for text in said_of(w, found, today) for line in paragraph(text, "  "))]


def said_of(w: Words, found: Growth, today: date) -> list[str]:
    """What the two costs are, when to order ahead, and the prices that they rest on."""
    one = found.upkeep
    if one is None:
        return [w.say("decision.regret_unpriced", gpu=found.gpu), *_reserved(w, found, today)]
    said = [w.say("decision.early_means"), w.say("decision.rented_means")]
    if found.at_once and found.idle_gpu_quarters:
        said.append(w.say("decision.at_once_costs", cost=f"{between(w, found.at_once)} {one.currency}"))
    chance = found.ahead_above
    said.append(w.say("decision.never_ahead") if chance is None else w.say("decision.ahead", chance=w.percent(chance)))
    said += [*_reserved(w, found, today), *quoted(w, one.committed, today), *quoted(w, one.rented, today)]
    if one.unpriced:
        said.append(
            w.say("decision.unpriced", names=", ".join(w.say(f"decision.line_{name}") for name in one.unpriced))
        )
    return said


def _reserved(w: Words, found: Growth, today: date) -> list[str]:
    """The same orders where the GPUs are reserved for a year: what the error costs then, and its own rule."""
    held, regrets = found.reserved, found.regrets_if_reserved
    if held is None or not regrets:
        return [] if held else [w.say("decision.reserved_unpriced", gpu=found.gpu)]
    both, chance = total(regrets), ahead_above(regrets)
    early, late = (f"{between(w, pair)} {held.currency}" for pair in (both.early, both.late))
    rule = w.say("decision.never_ahead") if chance is None else w.say("decision.ahead", chance=w.percent(chance))
    return [w.say("decision.reserved_costs", early=early, late=late, rule=rule), *quoted(w, held.committed, today)]


def _quarter(w: Words, step: Step) -> str:
    order = step.order_by.isoformat() if step.order_by else "–"
    late = w.number(step.unserved_if_late) if step.servers_bought else "–"
    return (
        f"  {step.start}{w.number(step.users):>12}{w.number(step.gpus_needed):>12}{w.number(step.servers_bought):>11}"
        f"{w.number(step.servers):>9}  {order:<12}{late:>9}"
    )


def sensitivity_lines(
    swings: list[Swing], share: float, found: Distribution | None, say: Words | None = None
) -> list[str]:
    w = say or words()
    base = w.quantity(swings[0].base_gpus, "gpus")
    widest = max((one.width for one in swings if one.width < float("inf")), default=0) or 1

    def count(gpus: int | None) -> str:
        return w.say("decision.none_do") if gpus is None else w.number(gpus)

    lines = [*paragraph(w.say("decision.moved", gpus=base, share=w.percent(share)), ""), ""]
    lines.append(f"  {w.say('decision.input'):<24}{'-':>12}{'+':>12}")
    for one in swings:
        bar = w.say("decision.infeasible_end") if one.width == float("inf") else "█" * round(26 * one.width / widest)
        lines.append(f"  {one.key:<24}{count(one.low_gpus):>12}{count(one.high_gpus):>12}  {bar}".rstrip())
    return lines + (_risks(w, found) if found else [])


def _risks(w: Words, found: Distribution) -> list[str]:
    heads = [w.say(f"decision.{key}") for key in ("risk", "tile_gpus", "cost_month")]
    lines = ["", *paragraph(w.say("decision.draws", n=len(found.gpus)), "  ")]
    lines.append(f"  {heads[0]:>24}{heads[1]:>14}{heads[2]:>24}")
    for risk in RISKS:
        gpus = found.gpus_at(risk)
        number = w.say("decision.none_do") if gpus == float("inf") else w.number(gpus)
        priced = found.currency and gpus < float("inf")
        cost = f"{w.number(found.cost_at(risk))} {found.currency}" if priced else "–"
        lines.append(f"  {w.percent(risk):>24}{number:>14}{cost:>24}")
    return lines


def study_lines(rows: int, plans: int, planned: int, seconds: float, out: str, say: Words | None = None) -> list[str]:
    w = say or words()
    counts = {"planned": w.number(planned), "kept": w.number(plans - planned), "seconds": w.number(seconds, 1)}
    speed = w.number(planned / max(seconds, 1e-9))
    return [
        fit(w.say("decision.study", rows=w.number(rows), plans=w.number(plans), out=out), 80),
        *paragraph(w.say("decision.study_speed", **counts, speed=speed), "  "),
    ]
