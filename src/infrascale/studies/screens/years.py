"""The screen of `infrascale growth --agents`: a population's need, year by year.

In: Years, Words.    Out: lines within 80 columns.
"""

from __future__ import annotations

from infrascale.locales import Words, words
from infrascale.screen.text import paragraph
from infrascale.studies.yearly import Year


def years_lines(found: list[Year], model: str, say: Words | None = None) -> list[str]:
    w = say or words()
    heads = [w.say(f"years.{key}") for key in ("year", "adoption", "per_day", "peak", "gpus", "way")]
    lines = [*paragraph(w.say("years.title", model=model), ""), ""]
    lines.append(f"  {heads[0]:>5}{heads[1]:>10}{heads[2]:>17}{heads[3]:>15}{heads[4]:>8}  {heads[5]}")
    for year in found:
        way = (
            f"{w.number(year.replicas)} × {year.gpus_per_replica} × {year.gpu}"
            if year.replicas
            else w.say("years.none")
        )
        gpus = w.number(year.gpus) if year.gpus else "–"
        lines.append(
            f"  {year.number:>5}{w.percent(year.adoption_fraction):>10}{w.number(year.requests_per_day):>17}"
            f"{w.number(year.request_per_s, 1):>15}{gpus:>8}  {way}"
        )
    return [*lines, "", *paragraph(w.say("years.means"), "  ")]
