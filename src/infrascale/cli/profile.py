"""`infrascale profile`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from infrascale.cli.errors import errors_as
from infrascale.cli.flags import Json

if TYPE_CHECKING:
    from infrascale.profiling.document import Profile


def profile(
    out: Annotated[str, typer.Option("--out", "-o", help="The profile to write; --gpu takes it.")] = "profile.toml",
    device: Annotated[str, typer.Option(help="auto (the first GPU, else this CPU), cuda or cpu.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="Threads of a CPU; default: one core less, as vLLM has it.", min=1, max=4096)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for measuring.", min=1, max=3600)] = 120,
    links: Annotated[bool, typer.Option(help="Measure all-reduce where there are several GPUs.")] = True,
    forward: Annotated[str | None, typer.Option(help="Learn from vllm bench forward --output-json instead.")] = None,
    model: Annotated[str | None, typer.Option(help="The model of --forward.")] = None,
    gpu: Annotated[str | None, typer.Option(help="The GPU kind of --forward.")] = None,
    tp: Annotated[int, typer.Option(help="The tensor-parallel degree of --forward.", min=1, max=1024)] = 1,
    precision: Annotated[str | None, typer.Option(help="The weight format of --forward.")] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine's GPU (or CPU) with PyTorch, as a hardware profile for --gpu."""
    from infrascale.profiling.document import as_toml
    from infrascale.profiling.screen import profile_json, profile_lines
    from infrascale.writing import write

    with errors_as(as_json):
        if forward:
            found, lines = _of_steps(forward, model, gpu, tp, precision)
        else:
            found = _of_this_machine(device, threads, seconds, links)
            lines = profile_lines(found)
        written = write({"profile.toml": as_toml(found)}, out)
    print(json.dumps(profile_json(found), indent=2) if as_json else "\n".join(lines))
    for path in written:
        typer.echo(f"infrascale plan --gpu {path} …", err=True)


def _of_this_machine(device: str, threads: int | None, seconds: float, links: bool) -> Profile:
    from time import monotonic

    from infrascale.cli.progress import shown
    from infrascale.parsing.plans import VERSION
    from infrascale.profiling import kernels
    from infrascale.profiling.document import profile as made
    from infrascale.profiling.shapes import shapes

    start = monotonic()
    on = kernels.device(device, threads)
    with shown(on.name[:40]) as progress:
        samples, notes = kernels.measure(on, shapes(on.kind, on.free_bytes / 4), seconds, progress)
        eager = f"one eager launch takes {1e6 * kernels.launch_s(on):.1f} µs of the host"
    bus = _bus(on) if links and on.kind == "cuda" and on.count > 1 else None
    tool = f"infrascale {VERSION}, {on.software}"
    return made(on, samples, monotonic() - start, tool=tool, notes=(*notes, eager), bus=bus)


def _bus(on) -> dict | None:
    """All-reduces over two GPUs, four, and so on, against the link that the catalog has."""
    from infrascale.catalog import find
    from infrascale.errors import CatalogError
    from infrascale.parsing.efficiencies import efficiency
    from infrascale.parsing.gpus import known
    from infrascale.profiling.links import all_reduce, bus

    try:
        card = known(find("gpus", on.name)[0])
        rate, latency = card.link.bytes_per_s, efficiency().collective(card.link, card).latency_s
    except CatalogError:
        rate, latency = 32e9, {}
    groups = [n for n in (2, 4, 8) if n <= on.count]
    return bus({n: all_reduce("nccl", n) for n in groups}, rate, latency)


def _of_steps(path: str, model: str | None, gpu: str | None, tp: int, precision: str | None):
    """A profile of the catalog's card (or of another profile) from whole steps, and its screen."""
    from infrascale.errors import ScenarioError
    from infrascale.parsing.gpus import gpu as card
    from infrascale.parsing.measurements import asked
    from infrascale.parsing.plans import VERSION
    from infrascale.profiling.document import Profile
    from infrascale.profiling.forward import learn, read_forward
    from infrascale.profiling.screen import forward_lines, profile_lines

    if not model or not gpu:
        raise ScenarioError("--forward needs its model and GPU", why="its file names neither", fix="--model and --gpu")
    steps = read_forward(path)
    row = {"model": model, "gpu": gpu, "tp": str(tp), "gpu_count": str(tp), "weight_precision": precision or ""}
    learnt = learn(steps, asked(row).deployment)
    found = Profile(
        gpu=card(gpu),
        in_catalog=True,
        fits=learnt.curves,
        bus=learnt.bus,
        device=card(gpu).name,
        tool=f"infrascale {VERSION}, vllm bench forward",
        seconds=sum(step.seconds for step in steps),
        notes=(f"{len(steps)} steps of {model}, TP {tp}",),
    )
    return found, [*forward_lines(learnt), *profile_lines(found)[:-2]]
