"""Tables in, tables out: no row is lost, whatever its cells hold."""

import csv
import math

import pytest

from infrascale.errors import FileError
from infrascale.predicting import PREDICTED, predict_file

HEADER = "engine,gpu,gpu_count,tp,model,weight_precision,isl,osl,load_kind,concurrency,request_rate,mine"
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def _predict(tmp_path, text, name="in.csv"):
    source, out = tmp_path / name, tmp_path / "out.csv"
    source.write_bytes(text.encode("utf-8"))
    counts = predict_file(source, out)
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(counts.values()) == len(rows)
    return rows


CASES = [
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,512,256,closed,16,,x", "ok"),
    (f"vllm,H100-SXM-80GB,,,{LLAMA},,,,,,,blank cells", "ok"),
    (f"vllm,H100-SXM-80GB,2,1,{LLAMA},fp8,512,256,open,,3,two replicas", "ok"),
    (f"trtllm,H100-SXM-80GB,1,1,{LLAMA},fp8,512,256,open,,1e5,saturated", "ok"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},fp16,512,256,offline,64,,static", "ok"),
    (f"sglang,H100-SXM-80GB,1,1,{LLAMA},fp16,512,1,offline,,,all at once", "ok"),
    (f"homemade,H100-SXM-80GB,1,1,{LLAMA},fp16,512,256,single,1,,unknown engine", "ok"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,NaN,256,closed,16,,x", "error"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,512,-3,closed,16,,x", "error"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,512,256,closed,many,,x", "error"),
    (f"vllm,H100-SXM-80GB,1,1.5,{LLAMA},bf16,512,256,closed,16,,x", "error"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,1e300,256,closed,16,,x", "error"),
    ("vllm,H100-SXM-80GB,1,1,nobody-knows-this,bf16,512,256,closed,16,,x", "unsupported"),
    (f"vllm,Abacus-9000,1,1,{LLAMA},bf16,512,256,closed,16,,x", "unsupported"),
    (f"vllm,,1,1,{LLAMA},bf16,512,256,closed,16,,x", "unsupported"),
    (f"vllm,H100-SXM-80GB,1,1,{LLAMA},fp3,512,256,closed,16,,x", "unsupported"),
    ("vllm,H100-SXM-80GB,1,1,meta-llama/Llama-3.1-70B,bf16,512,256,closed,16,,too big", "unsupported"),
    ("vllm", "unsupported"),
]


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_every_row_gets_a_status(tmp_path, delimiter, mark):
    text = mark + "\n".join([HEADER, *(line for line, _ in CASES)]) + "\n"
    rows = _predict(tmp_path, text.replace(",", delimiter))
    assert [row["status"] for row in rows] == [status for _, status in CASES]
    for row, (line, _) in zip(rows, CASES, strict=True):
        assert list(row) == [*HEADER.split(","), *PREDICTED]
        assert [row[name] for name in HEADER.split(",")][: line.count(",") + 1] == line.split(",")
        if row["status"] == "ok":
            for name in PREDICTED[:-2]:
                if not name.endswith(("_low", "_high")):
                    assert math.isfinite(float(row[name])) and float(row[name]) > 0
        else:
            assert row["reason"] and "\n" not in row["reason"]
            assert not row["pred_tpot_mean_s"]


def test_saturation_and_defaults_are_said(tmp_path):
    rows = _predict(tmp_path, "\n".join([HEADER, CASES[1][0], CASES[3][0]]))
    assert "isl blank" in rows[0]["reason"]
    assert "saturated" in rows[1]["reason"]


def test_two_replicas_share_the_rate(tmp_path):
    one = f"vllm,H100-SXM-80GB,1,1,{LLAMA},bf16,512,256,open,,2,"
    two = f"vllm,H100-SXM-80GB,2,1,{LLAMA},bf16,512,256,open,,4,"
    a, b = _predict(tmp_path, "\n".join([HEADER, one, two]))
    assert a["pred_tpot_mean_s"] == b["pred_tpot_mean_s"]
    assert float(b["pred_output_tok_per_s_total"]) == pytest.approx(2 * float(a["pred_output_tok_per_s_total"]), rel=1e-4)


@pytest.mark.parametrize("raw", [b"", b"  \n", b"a,b\n1,2\n", b"\x89PNG\r\n\x1a\n\x00\xff", b"model,gpu\n\x00,x\n"])
def test_what_is_no_table_is_refused_and_writes_nothing(tmp_path, raw):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(raw)
    with pytest.raises(FileError) as error:
        predict_file(source, out)
    assert error.value.why and error.value.fix
    assert not out.exists()


def test_a_header_alone_is_an_empty_answer(tmp_path):
    assert _predict(tmp_path, HEADER + "\n") == []


def test_progress_counts_to_the_end(tmp_path):
    source, seen = tmp_path / "in.csv", []
    source.write_text("\n".join([HEADER, CASES[0][0], CASES[8][0]]))
    predict_file(source, tmp_path / "out.csv", lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
