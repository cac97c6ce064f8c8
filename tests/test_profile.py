"""Hardware profiles: known curves recovered, files read back or refused, and this CPU measured where PyTorch is."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from infrascale import api
from infrascale.deployment import PhysicsTimer
from infrascale.errors import InfraScaleError
from infrascale.hardware import Curve
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.measurements import asked
from infrascale.profiling.document import as_toml, profile
from infrascale.profiling.fitting import fit
from infrascale.profiling.forward import learn, read_forward
from infrascale.profiling.kernels import Device, Sample
from infrascale.profiling.shapes import Gemm, shapes
from infrascale.work import Batch, Kind

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
H100 = Device(
    kind="cuda", name="NVIDIA H100 80GB HBM3", memory_bytes=85.5e9, free_bytes=84e9, count=1, software="torch 2"
)


def card_with(scale: float, noise: float = 0.0, device: Device = H100, name: str = "h100-sxm") -> list[Sample]:
    """Samples of a card whose kernels take `scale` times as long as its generation's."""
    card, rng = gpu(name), random.Random(1)
    curves = {kind: efficiency().curve(kind, "bf16", card) for kind in Kind if kind is not Kind.COMMUNICATION}
    return [
        Sample(shape=s, seconds=scale * rng.lognormvariate(0, noise) * curves[s.kind].seconds(s.work, card))
        for s in shapes(device.kind, device.free_bytes / 4)
    ]


def test_a_card_that_runs_as_its_generation_keeps_its_curves():
    found = profile(H100, card_with(1.0), 1.0, tool="test")
    assert found.in_catalog and found.gpu is gpu("h100-sxm")
    for (kind, format), one in found.fits.items():
        shipped = efficiency().curve(kind, format, found.gpu)
        assert one.error_fraction < 0.01 and one.shipped_ratio == pytest.approx(1)
        assert all(one.values[key] == pytest.approx(getattr(shipped, key), rel=0.05) for key in ("launch_s",))


@pytest.mark.parametrize("kind", [Kind.GEMM, Kind.DECODE_ATTENTION])
def test_known_curves_are_recovered_from_noisy_times(kind):
    truth = Curve(launch_s=8e-6, bytes_fraction=0.6, flop_fraction=0.45, exponent=2.0)
    rng, card = random.Random(2), gpu("l40s")
    works = [s.work for s in shapes("cuda", 1e10) if s.kind is kind]
    samples = [(work, truth.seconds(work, card) * rng.lognormvariate(0, 0.03)) for work in works]
    found = fit(kind, samples, card, efficiency().curve(kind, "bf16", card), True, "cuda")
    assert found.error_fraction < 0.05
    assert found.values["bytes_fraction"] == pytest.approx(0.6, rel=0.05)
    assert found.values["launch_s"] == pytest.approx(8e-6, rel=0.1)
    if kind is Kind.GEMM:
        assert found.values["flop_fraction"] == pytest.approx(0.45, rel=0.1)


def test_no_share_of_a_sheet_exceeds_one_on_a_gpu():
    found = profile(H100, card_with(0.5), 1.0, tool="test")
    shares = [v for one in found.fits.values() for k, v in one.values.items() if k.endswith("_fraction")]
    assert max(shares) <= 1.0


def test_a_plan_takes_the_profile_in_place_of_its_generation(tmp_path):
    place = tmp_path / "slow.toml"
    place.write_text(as_toml(profile(H100, card_with(1.3, 0.02), 1.0, tool="test")))
    own = gpu(str(place))
    assert own is gpu(str(place)) and own.id == "h100-sxm" and own.hbm_bytes == gpu("h100-sxm").hbm_bytes
    keys = {"model": LLAMA, "users": 500, "gpus_per_replica": 1}
    general, measured = api.plan(gpu="h100-sxm", **keys), api.plan(gpu=str(place), **keys)
    ratio = measured.best.performance.tpot_s.mean_s / general.best.performance.tpot_s.mean_s
    assert 1.1 < ratio < 1.4
    row = {"model": LLAMA, "gpu": str(place), "tp": "1", "isl": "500", "osl": "200", "concurrency": "8"}
    assert asked(row).deployment.gpu is own


def test_an_unknown_card_is_what_was_reached():
    cpu = Device(
        kind="cpu", name="Some EPYC 9999 Processor", memory_bytes=64e9, free_bytes=60e9, count=1, software="torch 2"
    )
    samples = card_with(1.0, device=cpu)
    found = profile(cpu, samples, 1.0, tool="test")
    assert not found.in_catalog and found.gpu.vendor == "amd" and found.gpu.hbm_bytes == 64e9
    products = [s for s in samples if isinstance(s.shape, Gemm)]
    assert found.gpu.flop_per_s["bf16"] == max(s.shape.work.flop / s.seconds for s in products)


@pytest.mark.parametrize(
    "change",
    [
        ("version = 1", "version = 2"),
        ("[link]", "[links]"),
        ("launch_s = ", "launch_s = -"),
        ("vendor", "vendors"),
        ("gemm/bf16", "gems/bf16"),
        ("bytes_fraction = ", "bytes_fraction = nan #"),
        ("[sources]", "[sources"),
    ],
)
def test_a_broken_profile_is_refused(tmp_path, change):
    place = tmp_path / "broken.toml"
    text = as_toml(profile(H100, card_with(1.0), 1.0, tool="test"))
    assert change[0] in text
    place.write_text(text.replace(change[0], change[1], 1))
    with pytest.raises(InfraScaleError) as caught:
        gpu(str(place))
    assert caught.value.why and caught.value.fix


def test_a_profile_that_is_not_there_and_one_that_is_no_text(tmp_path):
    (tmp_path / "bytes.toml").write_bytes(b"\xff\0")
    for name in ("none.toml", "bytes.toml", "\0.toml"):
        with pytest.raises(InfraScaleError):
            gpu(str(tmp_path / name))


def steps_file(place, timer, cases, scale=1.0):
    """What vllm bench forward 0.33 writes, of a card `scale` times as slow as the curves say."""
    from infrascale.profiling.forward import _Case, _step

    rows = [
        {"case": name, "requests": requests, "median_us": 1.0, "ranks": [{"num_tokens": 1}]} for name, requests in cases
    ]
    for row in rows:
        row["median_us"] = 1e6 * scale * timer.kernels_s(_step(_Case.model_validate(row)).batch)
    place.write_text(json.dumps(rows))


def request(query: int, kv: int, drafts: int = 0) -> dict:
    return {"query_len": query, "kv_len": kv, "num_draft_tokens": drafts, "chunked": False}


CASES = [("d1", [request(1, 1024)]), ("d32", [request(1, 8192)] * 32), ("p", [request(4096, 4096)]),
         ("mix", [request(2048, 4096), *[request(1, 2048)] * 16])]  # fmt: skip


def test_whole_steps_teach_a_profile(tmp_path):
    deployment = asked({"model": LLAMA, "gpu": "h100-sxm", "tp": "1"}).deployment
    timer = PhysicsTimer(deployment=deployment, efficiency=efficiency())
    steps_file(tmp_path / "f.json", timer, CASES, 1.2)
    found = learn(read_forward(str(tmp_path / "f.json")), deployment)
    assert found.before_fraction == pytest.approx(1 - 1 / 1.2, abs=0.01) and found.after_fraction < 0.01
    own = replace(deployment.gpu, curves={f"{k}/{f}": dict(one.values) for (k, f), one in found.curves.items()})
    slow = PhysicsTimer(deployment=replace(deployment, gpu=own), efficiency=efficiency())
    for step in read_forward(str(tmp_path / "f.json")):
        assert slow.kernels_s(step.batch) == pytest.approx(step.seconds, rel=0.02)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '[{"case": "a"}]', '[{"case": "a", "requests": [], "median_us": 1}]', "[" * 9999]
)
def test_what_is_no_forward_result_is_refused(tmp_path, text):
    (tmp_path / "f.json").write_text(text)
    with pytest.raises(InfraScaleError):
        read_forward(str(tmp_path / "f.json"))


def test_steps_that_verify_drafts_are_left_out(tmp_path):
    deployment = asked({"model": LLAMA, "gpu": "h100-sxm", "tp": "1"}).deployment
    timer = PhysicsTimer(deployment=deployment, efficiency=efficiency())
    steps_file(tmp_path / "f.json", timer, [*CASES, ("v", [request(4, 4096, 3)])])
    assert [step.case for step in read_forward(str(tmp_path / "f.json"))] == [name for name, _ in CASES]


def test_without_pytorch_a_person_is_told(monkeypatch):
    from infrascale.profiling import kernels

    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(InfraScaleError, match="nothing can be measured"):
        kernels.device()


def test_this_cpu_is_measured(tmp_path):
    """With PyTorch: a profile of this very machine, whose curves tell its own samples, and a plan on it."""
    pytest.importorskip("torch")
    from infrascale.profiling import kernels

    on = kernels.device("cpu")
    samples, _ = kernels.measure(on, shapes("cpu", 2e8), 8.0)
    place = tmp_path / "cpu.toml"
    place.write_text(as_toml(profile(on, samples, 8.0, tool="test")))
    card = gpu(str(place))
    assert 1e9 < card.hbm_bytes_per_s < 2e12 and 1e9 < card.rate("bf16") < 1e15
    alone = asked({"model": "qwen2.5-0.5b-instruct", "gpu": str(place), "tp": "1", "concurrency": "1"})
    step = Batch(decode_seqs=1, context_tokens=100)
    assert 0.001 < PhysicsTimer(deployment=alone.deployment, efficiency=efficiency())(step) < 10


def test_two_processes_measure_their_link():
    pytest.importorskip("torch")
    from infrascale.profiling.links import all_reduce, bus

    rows = all_reduce("gloo", 2, (4096, 1 << 22))
    found = bus({2: rows}, 1e10, {})
    assert rows[0][1] < rows[1][1] and 0 < found["bus_fraction"][2] < 100 and found["latency_s"][2] < 1
