"""Predicting measurement rows: real data's oddities, no row lost, nothing half-written."""

from __future__ import annotations

import csv
from math import isfinite

import pytest

from infrascale.errors import FileError
from infrascale.parsing.tables import number
from infrascale.predicting import COLUMNS, MEASURES, TAILS, predict_file

HEADER = "gpu,gpu_count,tp,model,weight_precision,isl,osl,load_kind,concurrency,request_rate,engine,notes"
GOOD = "H100-SXM-80GB,1,1,meta-llama/Llama-3.1-8B-Instruct,bf16,1000,200,closed,16,,vllm,kept as it is"


def predicted(tmp_path, *lines: str, header: str = HEADER) -> list[dict[str, str]]:
    (tmp_path / "in.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    predict_file(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_is_answered_and_kept(tmp_path):
    (row,) = predicted(tmp_path, GOOD)
    assert row["status"] == "ok" and row["notes"] == "kept as it is" and set(COLUMNS) <= set(row)
    values = [float(row[key]) for key in COLUMNS if row[key] and key.startswith("pred_")]
    assert len(values) == 17 and all(isfinite(v) and v > 0 for v in values)
    for measure in MEASURES:
        low, middle, high = (float(row[f"pred_{measure}{end}"]) for end in ("_low", "", "_high"))
        assert low < middle < high
    assert 0.004 < float(row["pred_tpot_mean_s"]) < 0.02  # weights alone: 16 GB at 3.35 TB/s


def test_replicas_share_the_clients_of_a_closed_loop(tmp_path):
    """As many clients to each of four replicas: the same times, and four times the tokens."""
    one, four = predicted(tmp_path, GOOD, GOOD.replace(",1,1,", ",4,1,").replace("closed,16", "closed,64"))
    assert float(four["pred_tpot_mean_s"]) == pytest.approx(float(one["pred_tpot_mean_s"]), rel=1e-4)
    assert float(four["pred_ttft_mean_s"]) == pytest.approx(float(one["pred_ttft_mean_s"]), rel=1e-4)
    total, single = (float(row["pred_output_tok_per_s_total"]) for row in (four, one))
    assert total == pytest.approx(4 * single, rel=1e-4)


def test_a_steady_open_load_has_percentiles_in_order_and_a_closed_one_of_its_first_token(tmp_path):
    closed, steady = predicted(tmp_path, GOOD, GOOD.replace("closed,16,", "open,,3"))
    waits = [float(closed[name]) for name in (f"pred_ttft_p{share}_s" for share in (50, 90, 95, 99))]
    assert waits == sorted(waits) and waits[0] < float(closed["pred_ttft_mean_s"]) * 1.1 < waits[3] * 1.2
    assert not any(closed[f"pred_{name}"] for name in TAILS if not name.startswith("ttft"))
    for name in ("ttft", "tpot", "e2e"):
        values = [float(steady[f"pred_{name}_p{share}_s"]) for share in (50, 90, 95, 99)]
        assert values == sorted(values) and values[0] < float(steady[f"pred_{name}_mean_s"]) * 1.1 < values[3] * 1.2


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("Llama-3.1-8B-Instruct", "Llama-31-x"), "unsupported"),
        (("H100-SXM-80GB", "abacus"), "unsupported"),
        ((",16,", ",nan,"), "ok"),
        ((",1000,", ",-5,"), "error"),
        ((",200,", ",many,"), "error"),
        ((",1,1,meta", ",1,1e11,meta"), "error"),
        ((",1000,200,", ",,,"), "ok"),
        (("bf16", ""), "ok"),
        (("closed,16,", "open,,3"), "ok"),
        (("closed,16,", "open,,30000"), "ok"),
        (("closed,16,", "offline,16,"), "ok"),
        (("closed,16,", "offline,,"), "ok"),
        (
            ("H100-SXM-80GB,1,1,meta-llama/Llama-3.1-8B-Instruct", "L4,1,1,deepseek-ai/DeepSeek-R1"),
            "unsupported",
        ),
    ],
)
def test_every_row_gets_a_status(change, status, tmp_path):
    rows = predicted(tmp_path, GOOD, GOOD.replace(*change), GOOD)
    assert [row["status"] for row in rows] == ["ok", status, "ok"]
    assert status == "ok" or rows[1]["reason"]


def test_semicolons_are_read_too(tmp_path):
    (row,) = predicted(tmp_path, GOOD.replace(",", ";"), header=HEADER.replace(",", ";"))
    assert row["status"] == "ok"


def test_numbers_are_read_as_people_write_them():
    written = {"a": "1,024", "b": "0,5", "c": "12 000", "d": "1e3", "e": "1\u202f000,5"}
    assert [number(written, key) for key in written] == [1024, 0.5, 12000, 1000, 1000.5]


def test_more_clients_never_read_faster(tmp_path):
    rows = predicted(tmp_path, *(GOOD.replace(",16,", f",{n},") for n in (1, 8, 64, 256)))
    speeds = [float(row["pred_tpot_mean_s"]) for row in rows]
    assert speeds == sorted(speeds)


@pytest.mark.parametrize("content", [b"", b"\x00\xff\x00", b"a,b\n1,2\n", b"\xff\xfe"])
def test_what_is_no_table_of_measurements_is_refused(content, tmp_path):
    (tmp_path / "in.csv").write_bytes(content)
    with pytest.raises(FileError) as error:
        predict_file(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    assert error.value.fix and not (tmp_path / "out.csv").exists()


def test_a_batch_of_an_unmeasured_engine_ran_as_one(tmp_path):
    """217 x (128 + 2,048) tokens of Llama-2-7B's cache are more than a Gaudi 3 holds in 16 bits, and fit in 8."""
    header = "gpu,tp,model,weight_precision,isl,osl,load_kind,concurrency,engine,kv_precision"
    row = "Gaudi 3,1,meta-llama/Llama-2-7b-hf,fp8,128,2048,offline,217,{},{}"
    rows = [row.format("", ""), row.format("", "bf16"), row.format("vllm", ""), row.format("", "fp8")]
    told = [float(r["pred_e2e_mean_s"]) for r in predicted(tmp_path, *rows, header=header)]
    assert told[0] == told[3] < told[1] == told[2]
