"""A profile as the TOML that `--gpu` takes: the card, its curves, where they are from, and the raw samples.

In: Device, samples, fits.    Out: the file's text. Read back by `parsing.profiles`.
A card of the catalog keeps its facts (memory, sheet, price) and id; of any other the facts are what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from infrascale import catalog
from infrascale.catalog import spelling
from infrascale.errors import CatalogError, ScenarioError
from infrascale.hardware import Gpu, Link, Source
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import known
from infrascale.parsing.profiles import VERSION
from infrascale.profiling.fitting import Fit, fit
from infrascale.profiling.kernels import Device, Sample
from infrascale.profiling.shapes import Between, Gemm, Sum, numbers
from infrascale.work import Kind

#: Which vendor makes a processor, by words of its name.
VENDORS = {"intel": "intel", "xeon": "intel", "amd": "amd", "epyc": "amd", "instinct": "amd", "nvidia": "nvidia"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`gpu` without curves, those that were fitted by kind, and how it came about."""

    gpu: Gpu
    in_catalog: bool
    fits: Mapping[tuple[Kind, str], Fit]  # by kind and format
    samples: Mapping[Kind, Sequence[Sample]] = field(default_factory=dict)
    bus: Mapping[str, Mapping[int, float]] | None = None
    device: str
    tool: str
    seconds: float
    notes: Sequence[str] = ()


def profile(on: Device, samples: Sequence[Sample], seconds: float, **more: Any) -> Profile:
    """Curves of each kind of operator, on the facts of the catalog where it knows the card."""
    gpu, listed = _listed(on) or _unlisted(on, samples), _listed(on) is not None
    fits, by_kind = {}, {}
    for kind in (Kind.GEMM, Kind.DECODE_ATTENTION, Kind.PREFILL_ATTENTION, Kind.ELEMENTWISE):
        own = [sample for sample in samples if sample.shape.kind is kind]
        if own:
            by_kind[kind] = own
            own = [
                sample for sample in own if isinstance(sample.shape, Between)
            ] or own  # sums then tell bandwidth alone
            start = efficiency().curve(kind, "bf16", gpu)
            fits[kind, "bf16"] = fit(kind, [(s.shape.work, s.seconds) for s in own], gpu, start, listed, on.kind)
    if (Kind.GEMM, "bf16") not in fits:
        raise ScenarioError("no matrix product could be measured", why="every one failed", fix="see --json for why")
    return Profile(gpu=gpu, in_catalog=listed, fits=fits, samples=by_kind, device=on.name, seconds=seconds, **more)


def _listed(on: Device) -> Gpu | None:
    """The catalog's card of this name, whose memory must then be the one that is there."""
    try:
        found = known(catalog.find("gpus", on.name)[0])
    except CatalogError:
        return None
    return found if abs(on.memory_bytes / found.hbm_bytes - 1) < 0.1 else None


def _unlisted(on: Device, samples: Sequence[Sample]) -> Gpu:
    """A card that the catalog lacks: its bandwidth and rate are the highest that were reached."""
    sums = [
        s.shape.work.hbm_bytes / s.seconds for s in samples if isinstance(s.shape, Sum) and s.shape.elements >= 2**24
    ]
    products = [s.shape.work.flop / s.seconds for s in samples if isinstance(s.shape, Gemm)]
    if not sums or not products:
        raise ScenarioError(
            "too little was measured", why="no large sum or no matrix product ran", fix="give it longer"
        )
    today = date.today().isoformat()
    measured = Source(kind="measured", at=f"infrascale profile, {on.software}", entered=today)
    assumed = Source(kind="estimated", at="not measured: set your own", entered=today)
    words = on.name.lower()
    return Gpu(
        id=spelling(on.name)[:60] or "this-machine",
        name=on.name,
        vendor=next((vendor for word, vendor in VENDORS.items() if word in words), "arm"),
        architecture=f"measured-{on.kind}",
        form_factor=on.kind,
        hbm_bytes=on.memory_bytes,
        hbm_bytes_per_s=max(sums),
        flop_per_s={"bf16": max(products)},
        power_w=300.0,
        gpus_per_server=on.count,
        link=Link(kind="pcie", bytes_per_s=32e9, gpus=on.count),
        sources={
            **dict.fromkeys(("hbm_bytes", "hbm_bytes_per_s", "flop_per_s", "gpus_per_server"), measured),
            **dict.fromkeys(("power_w", "link"), assumed),
        },
    )


def as_toml(found: Profile) -> str:
    """The file's text: what people may change above, what was measured below."""
    gpu, name = found.gpu, found.gpu.name
    lines = [
        "# How fast this machine runs a model's operators; infrascale plan --gpu path/to/this.toml",
        f"version = {VERSION}",
        f"id = {json.dumps(gpu.id)}",
        f"name = {json.dumps(name if '(measured' in name else name + ' (measured)')}",
    ]
    for key in ("vendor", "architecture", "form_factor", "released", "hbm_bytes", "hbm_bytes_per_s", "power_w",
                "idle_power_w", "gpus_per_server"):  # fmt: skip
        if getattr(gpu, key) is not None:
            lines.append(f"{key} = {json.dumps(getattr(gpu, key))}")
    lines.append(f"flop_per_s = {_table(gpu.flop_per_s)}")
    link = {"kind": gpu.link.kind, "bytes_per_s": gpu.link.bytes_per_s, "gpus": gpu.link.gpus}
    if gpu.price:
        ranges = ((key, getattr(gpu.price, key)) for key in ("usd_purchase", "usd_per_hour"))
        lines += ["", "[price]", *(f"{key} = {json.dumps(list(value))}" for key, value in ranges if value)]
    lines += ["", "[link]", *(f"{key} = {json.dumps(value)}" for key, value in link.items())]
    for (kind, format), one in found.fits.items():
        lines += [
            "",
            f'[curves."{kind}/{format}"]',
            *(f"{name} = {_short(value)}" for name, value in one.values.items()),
        ]
    if found.bus:
        lines += ["", "[bus]", *(f"{key} = {_table(table)}" for key, table in found.bus.items())]
    lines += ["", "[measured]", f"made = {json.dumps(date.today().isoformat())}", f"tool = {json.dumps(found.tool)}"]
    lines += [f"device = {json.dumps(found.device)}", f"seconds = {found.seconds:.1f}"]
    errors = {f"{kind}/{format}": one.error_fraction for (kind, format), one in found.fits.items()}
    lines += [f"error_fraction = {_table(errors)}", f"notes = {json.dumps(list(found.notes))}"]
    lines += ["", "[sources]"]
    for key, source in gpu.sources.items():
        dated = {k: v for k, v in (("checked", source.checked), ("entered", source.entered)) if v}
        days = "".join(f", {k} = {v}" for k, v in dated.items())
        lines.append(f"{key} = {{ kind = {json.dumps(source.kind)}, at = {json.dumps(source.at)}{days} }}")
    if found.samples:
        lines += ["", "[samples]  # the numbers of each shape, then seconds: see profiling/shapes.py"]
    for kind, own in found.samples.items():
        rows = ",\n  ".join(json.dumps([*numbers(s.shape), float(_short(s.seconds))]) for s in own)
        lines.append(f"{kind} = [\n  {rows},\n]")
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    return f"{value:.4g}" if "e" in f"{value:.4g}" or "." in f"{value:.4g}" else f"{value:.4g}.0"


def _table(values: Mapping[Any, float]) -> str:
    return "{ " + ", ".join(f"{json.dumps(str(key))} = {_short(value)}" for key, value in values.items()) + " }"
