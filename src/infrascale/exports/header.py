"""What every exported file says of itself first: the plan it is of, what that promises, what it assumes.

In: Serving.    Out: lines in the reader's language, without comment signs.
"""

from __future__ import annotations

from collections.abc import Iterator

from infrascale.exports.serving import Serving
from infrascale.locales import Words, words
from infrascale.parsing.plans import VERSION


def header(serving: Serving, *, in_cluster: bool = False) -> Iterator[str]:
    """The lines; `in_cluster`: where pods must find their kind of GPU by label."""
    best, scenario = serving.best, serving.plan.scenario
    deployment, found, w = best.deployment, best.performance, words(serving.options.language)
    promise = scenario.promise
    values = {
        "version": VERSION, "hash": serving.plan_hash, "gpus": best.gpus, "gpu": deployment.gpu.name,
        "model": scenario.model.id, "replicas": w.quantity(serving.replicas, "replicas"),
        "size": w.quantity(best.gpus_per_replica, "gpus"), "degrees": best.deployment.shard,
        "precision": deployment.quantization.precision, "batch": best.max_batch,
        "spare": w.quantity(best.spare_replicas, "replicas"),
        "requests": f"{serving.requests_per_replica * best.replicas:.0f}",
        "isl": f"{scenario.workload.isl_tokens:.0f}", "osl": f"{scenario.workload.osl_tokens:.0f}",
        "speed": _promised(w, "speed", promise.token_per_s, promise.speed_share),
        "ttft": _promised(w, "ttft", promise.ttft_s, promise.ttft_share),
        "found_speed": w.number(1 / promise.tpot_of(found), 1), "found_ttft": w.number(promise.ttft_of(found), 2),
        "command": serving.command, "share": f"{scenario.workload.prefix_hit_fraction:.0%}".rstrip("%"),
    }  # fmt: skip
    keys = ["plan", "cut"] + ["spare"] * bool(best.spare_replicas) + ["serves", "promise"]
    keys += ["cached"] * (scenario.workload.prefix_hit_fraction > 0) + ["online"] * serving.quantized_while_loading
    keys += ["unlabelled"] * (in_cluster and not serving.node_selector) + ["keep", "again"]
    for key in keys:
        yield say(serving, key, **values)


def _promised(w: Words, what: str, value: float, share: float | None) -> str:
    """A mean, or what a share of the requests was promised."""
    if share is None:
        return w.say(f"export.{what}_mean", n=w.typed(value))
    return w.say(f"export.{what}_share", n=w.typed(value), share=w.percent(share))


def say(serving: Serving, key: str, **values: object) -> str:
    return words(serving.options.language).say(f"export.{key}", **values)


def commented(lines: Iterator[str]) -> str:
    """Lines as comments of YAML and shell; a line break in a value cannot leave the comment."""
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)
