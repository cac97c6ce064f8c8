"""Early releases: what static batches fit predicts, versions are read as written, physics bounds the data."""

from __future__ import annotations

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")

from infrascale import predicting  # noqa: E402
from infrascale.calibration import batches  # noqa: E402
from infrascale.calibration.residuals import impossible, shipped_rows, unlike, weights_read_s  # noqa: E402
from infrascale.hardware import Collective, Host  # noqa: E402
from infrascale.hardware.efficiency import release_of  # noqa: E402
from infrascale.model.model import numerics  # noqa: E402
from infrascale.parsing.efficiencies import efficiency  # noqa: E402
from infrascale.parsing.gpus import gpu  # noqa: E402
from infrascale.parsing.measurements import asked  # noqa: E402
from infrascale.parsing.models import model  # noqa: E402
from infrascale.parsing.sampling import asks_for_one_token, samples_likeliest  # noqa: E402
from infrascale.work import Batch, Shard  # noqa: E402

BATCHES = [row for row in shipped_rows()["argonne_llm_inference_bench"] if row["e2e_mean_s"] and row["osl"]]
ROW = dict(BATCHES[0], engine="vllm", engine_version="0.11.0", gpu="H100-SXM-80GB", concurrency="32", isl="512",
           osl="512", e2e_mean_s="", ttft_mean_s="", tp="2", gpu_count="2")  # fmt: skip


def test_the_fits_formula_is_the_one_that_predicts(monkeypatch):
    values = {name: prior for name, (prior, _) in batches.PRIORS.items()}
    rows = batches.rows_of(BATCHES[::41])
    data, known = batches.as_data(values), efficiency()
    with_values = replace(
        known,
        curves={**batches.without_eras(known).curves, **data["curves"]},
        collectives={**known.collectives, **{key: Collective(**table) for key, table in data["collectives"].items()}},
        hosts={**known.hosts, **{era: Host(**parts) for era, parts in data["hosts"].items()}},
    )
    monkeypatch.setattr(predicting, "efficiency", lambda: with_values)
    found = [predicting.predict(asked(row)).measures["e2e_mean_s"] for row in rows.rows]
    assert len(found) > 30 and found == pytest.approx(list(rows.predicted(values)), rel=1e-9)


def test_early_releases_cost_more_host_time_and_more_so_with_many_sequences():
    def tpot(version: str, clients: str) -> float:
        found = predicting.predict(asked({**ROW, "engine_version": version, "concurrency": clients}))
        return found.measures["tpot_mean_s"]

    early = [tpot("~0.5 (README: not recorded per row)", n) - tpot("0.11.0", n) for n in ("1", "16", "64")]
    assert 0 < early[0] < early[1] < early[2]
    assert tpot("~0.5", "16") == tpot("0.5.3", "16")


@pytest.mark.parametrize(("text", "release"), [("~0.5 (x)", (0, 5)), ("v0.19.0rc1", (0, 19, 0)), ("latest", ())])
def test_releases_are_read_as_written(text, release):
    assert release_of(text) == release


@pytest.mark.parametrize(
    ("engine", "text", "gpu", "version"),
    [
        ("trtllm", "0.5.1-rc0", "GB200", None),  # Dynamo's number: TensorRT-LLM 0.5 had no Blackwell
        ("vllm", "vllm-openai:latest (May 2025)", "H100-SXM-80GB", "0.8"),
        ("vllm", "nightly of March 2026", "H100-SXM-80GB", "0.15"),
        ("vllm", "0.11.1", "B200-SXM-180GB", "0.11.1"),
    ],
)
def test_a_version_is_the_engines_or_none(engine, text, gpu, version):
    found = asked({**ROW, "engine": engine, "engine_version": text, "gpu": gpu}).deployment.engine.version
    assert found == version


def test_no_time_beats_reading_the_weights():
    question = asked(ROW)
    bound = weights_read_s(question)
    for measure, tokens in (("tpot_mean_s", 1), ("e2e_mean_s", question.workload.osl_tokens - 1)):
        assert impossible({**ROW, measure: str(0.99 * tokens * bound)}, question)
        assert not impossible({**ROW, measure: str(1.01 * tokens * bound)}, question)


def test_answers_that_ended_early_say_nothing_of_their_end():
    row = {**ROW, "tpot_mean_s": "0.02", "e2e_mean_s": "3", "osl": "512"}
    assert unlike(row, "e2e_mean_s") and not unlike(row, "tpot_mean_s")
    assert not unlike({**row, "e2e_mean_s": "12"}, "e2e_mean_s")


def test_a_card_sustains_no_more_arithmetic_than_its_power_does():
    known = efficiency()
    share = {name: known.sustained_fraction(gpu(name)) for name in ("h100-sxm", "h100-pcie", "l4", "l40s", "mi300x")}
    assert {share[name] for name in ("h100-sxm", "l40s", "mi300x")} == {1}  # measured themselves, or without a table
    assert share["h100-pcie"] == pytest.approx(350 / 700 * 989 / 756, rel=0.01)
    assert share["l4"] < share["h100-pcie"]


def test_more_power_than_the_limit_is_no_measurement():
    question = asked(ROW)
    assert impossible({**ROW, "power_w": "1600"}, question) and not impossible({**ROW, "power_w": "1300"}, question)


def test_a_busier_step_draws_more_power_up_to_the_limit():
    watts = [predicting.predict(asked({**ROW, "concurrency": n})).power_w for n in ("1", "16", "64", "256")]
    assert watts == sorted(watts) and watts[0] > 300 and watts[-1] <= 1400  # two cards of 700 W


def test_without_cuda_graphs_more_gpus_do_not_hide_the_launches():
    def tpot(version: str, gpus: str) -> float:
        row = {**ROW, "model": "meta-llama/Llama-2-70b-chat-hf", "engine_version": version, "concurrency": "1"}
        return predicting.predict(asked({**row, "tp": gpus, "gpu_count": gpus})).measures["tpot_mean_s"]

    assert tpot("0.2", "8") == pytest.approx(tpot("0.2", "4"), rel=0.01)  # 80 layers' launches, however thin they are
    assert tpot("0.5", "8") < 0.8 * tpot("0.5", "4")
    assert tpot("0.2", "8") > tpot("0.5", "8") > tpot("0.11.0", "8")


def test_a_paper_named_as_the_engine_tells_its_release():
    row = {**ROW, "engine": "vllm (Splitwise paper)", "engine_version": ""}
    assert (
        asked(row).deployment.engine.version == "0.2"
        and asked({**row, "engine": "vllm"}).deployment.engine.version is None
    )


@pytest.mark.parametrize(
    ("name", "kept"),
    [("Qwen/Qwen3-32B", True), ("Qwen/Qwen2.5-7B-Instruct", True), ("mistralai/Mistral-Nemo-Instruct-2407", False),
     ("meta-llama/Llama-3.1-8B-Instruct", True)],
)  # fmt: skip
def test_a_vocabulary_is_sorted_where_the_model_keeps_the_likeliest_and_the_release_is_early(name, kept):
    found, early, late = model(name), ("vllm", "vllm<0.19"), ("vllm",)
    assert found.samples_likeliest is kept
    plain = numerics(found.native, {"bf16": 1e15}, 2.0)
    sample = next(w for w in found.work(Batch(decode_seqs=64), Shard(), plain) if w.name == "sample")
    slow, quick = (efficiency().curve(sample.kind, sample.format, gpu("h100-sxm"), names) for names in (early, late))
    assert (slow.seconds(sample, gpu("h100-sxm")) > 5 * quick.seconds(sample, gpu("h100-sxm"))) is kept


def test_nothing_is_sorted_for_a_client_that_wants_the_likeliest_token():
    assert asks_for_one_token("family=inferencex; x") and not asks_for_one_token("family=nvidia-gap-analysis; x")
    row = {"model": "Qwen3-32B", "gpu": "H100", "engine": "vllm", "engine_version": "0.12.0", "tp": "2", "isl": "1024",
           "osl": "1024", "concurrency": "64", "load_kind": "closed"}  # fmt: skip
    own, greedy = (asked({**row, "notes": notes}) for notes in ("", "sharegpt (LMBenchmark)"))
    assert own.deployment.model.samples_likeliest and not greedy.deployment.model.samples_likeliest


def test_models_before_instruction_tuning_keep_all_tokens():
    assert not samples_likeliest("Qwen/Qwen2.5-7B") and not samples_likeliest("google/gemma-3-12b-base")


def test_releases_are_known_by_their_curves_too():
    assert efficiency().software("vllm", "0.11.1") == ("vllm", "vllm<0.19", "vllm<0.18", "vllm<0.12")
    assert efficiency().software("vllm", "0.19.0") == ("vllm", "vllm>=0.15")
    assert efficiency().host("vllm", "0.16.0") == efficiency().host("vllm", "0.20.0")
