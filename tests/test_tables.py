"""Files of rows as people save them: the same question, or a refusal that names the cell."""

from __future__ import annotations

import csv

import pytest

from infrascale.errors import FileError
from infrascale.parsing.tables import number, read_table
from infrascale.predicting import predict_file

HEADER = "gpu,gpu_count,tp,model,weight_precision,isl,osl,load_kind,concurrency,request_rate,engine,n_requests,notes"
CELLS = "H100-SXM-80GB,1,1,meta-llama/Llama-3.1-8B-Instruct,bf16,1000,200,closed,16,,vllm,,kept"
PLAIN = f"{HEADER}\n{CELLS}\n"


def predicted(tmp_path, raw: bytes) -> list[dict[str, str]]:
    (tmp_path / "in.csv").write_bytes(raw)
    predict_file(str(tmp_path / "in.csv"), str(tmp_path / "out.csv"))
    with (tmp_path / "out.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def usual(tmp_path):
    return predicted(tmp_path, PLAIN.encode())[0]["pred_tpot_mean_s"]


OTHER = (
    "Accelerator,GPUs,TP size,Model ID,Precision,Input Tokens,Output length [tokens],Scenario,Max Concurrency,QPS,"
    "Backend,num_prompts,Comment"
)


@pytest.mark.parametrize(
    "raw",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        PLAIN.replace("kept", "gardé").encode("cp1252"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace(",", "|").encode(),
        ("sep=;\n" + PLAIN.replace(",", ";")).encode(),
        ("\n\n" + PLAIN.replace("\n", "\n\n")).encode(),
        PLAIN.replace(HEADER, OTHER).encode(),
        PLAIN.replace(HEADER, HEADER.upper()).encode(),
        PLAIN.replace(",1000,200,", ',"1,000",200 tokens,').encode(),
        PLAIN.replace(",1,1,meta", ",x1,TP1,meta").encode(),
        PLAIN.replace(",closed,16,,", ",,16,inf,").encode(),
        PLAIN.replace(",closed,", ",Closed-loop,").encode(),
        PLAIN.replace("kept", "kept, with commas, unquoted").encode(),
        PLAIN.replace(",", ";").replace(";1000;200;", ";1000,0;200,00;").encode(),
    ],
)
def test_the_same_question_however_it_is_saved(raw, tmp_path, usual):
    (row,) = predicted(tmp_path, raw)
    assert row["status"] == "ok" and row["pred_tpot_mean_s"] == usual, row["reason"]


def test_the_cells_of_the_file_stay_as_they_were(tmp_path):
    (row,) = predicted(tmp_path, PLAIN.replace(HEADER, OTHER).replace("1000", "1 000 tokens").encode())
    assert row["Input Tokens"] == "1 000 tokens" and row["Accelerator"] == "H100-SXM-80GB"
    assert "isl" not in row and row["status"] == "ok"


def test_all_at_once_is_no_rate(tmp_path):
    at_once = PLAIN.replace(",closed,16,,vllm,,", ",open,,inf,vllm,500,").encode()
    offline = PLAIN.replace(",closed,16,,vllm,,", ",offline,,,vllm,500,").encode()
    keys = ("pred_tpot_mean_s", "pred_output_tok_per_s_total", "status")
    first, second = (predicted(tmp_path, raw)[0] for raw in (at_once, offline))
    assert [first[key] for key in keys] == [second[key] for key in keys] and first["status"] == "ok"


def test_a_load_that_tells_no_clients_says_what_was_taken(tmp_path):
    (row,) = predicted(tmp_path, PLAIN.replace(",closed,16,,", ",open,,,").encode())
    assert row["status"] == "ok" and "one client taken" in row["reason"]


@pytest.mark.parametrize("cell", ["85%", "1.024", "8k", "about 1000", "1000±10", "1,00,0", "1e400", "-3", "0"])
def test_a_length_of_two_readings_or_none_is_refused(cell, tmp_path):
    (row,) = predicted(tmp_path, PLAIN.replace(",1000,", f',"{cell}",').encode())
    assert row["status"] == "error" and "isl" in row["reason"] and not row["pred_tpot_mean_s"]


def test_a_kind_of_load_that_nobody_knows_is_refused(tmp_path):
    (row,) = predicted(tmp_path, PLAIN.replace(",closed,", ",sometimes,").encode())
    assert row["status"] == "error" and "closed, open, offline" in row["reason"]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (PLAIN.replace("model,", "llm,").replace(",notes", ",checkpoint"), "tells model twice"),
        (PLAIN.replace("gpu,gpu_count", "machine,gpu_count"), "lacks gpu"),
        (PLAIN.replace(",notes", "").replace("\n" + CELLS, "\n" + CELLS + ",more"), "line 2"),
        ("\n\n", "no header"),
    ],
)
def test_what_a_file_tells_twice_or_not_at_all_is_named(raw, said, tmp_path):
    (tmp_path / "in.csv").write_text(raw, encoding="utf-8")
    with pytest.raises(FileError) as error:
        read_table(str(tmp_path / "in.csv"))
    assert said in f"{error.value.what} {error.value.why}" and error.value.fix


def test_a_time_may_say_its_unit():
    assert number({"ttft_mean_s": "250 ms"}, "ttft_mean_s") == 0.25
    assert number({"ttft_mean_s": "0.25 s"}, "ttft_mean_s") == 0.25
