"""Files of rows as people save them: the same question, or a refusal that names the cell."""

from __future__ import annotations

import csv

import pytest

from infrascale.errors import FileError, ScenarioError
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
        PLAIN.replace(",", ";").replace(";1000;200;", ";1.000;200,0;").encode(),
        f",{HEADER}\n0,{CELLS}\n".encode(),  # an index without a name, as pandas writes it
        f",{HEADER}\n0,{CELLS.replace('kept', '')}\n".encode(),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.replace("\n", "\r").encode(),
        f"Our benchmark, run 3\n\n{PLAIN}".encode(),
        ("| " + PLAIN.replace(",", " | ").replace("\n", " |\n|---|---|\n| ", 1)).encode(),
        PLAIN.replace("isl,", '"isl\n[tokens]",').encode(),
        PLAIN.replace(",1000,", ",1'000,").encode(),
        PLAIN.replace(",closed,", ",closed loop,").encode(),
        PLAIN.replace(",closed,", ",chat,").replace("load_kind", "scenario").encode(),
        PLAIN.replace(",closed,16,,vllm,,", ",closed,16,0,vllm,NaN,").encode(),
        f"{HEADER},ep,kv_precision\n{CELLS},0,n/a\n".encode(),
        PLAIN.replace("Instruct,bf16", "Instruct,BF16").encode() + b",,,,,,,,,,,,\n",
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


@pytest.mark.parametrize(
    ("header", "cell"),
    [("request_rate [req/min]", "120"), ("QPS", "2"), ("requests_per_hour", "7200"), ("Requests (per min)", "120,0")],
)
def test_a_rate_is_read_in_its_columns_unit(header, cell, tmp_path):
    plain = PLAIN.replace(",closed,16,,", ",open,,2,")
    other = plain.replace(",request_rate,", f",{header},").replace(",open,,2,", f',open,,"{cell}",')
    two, told = (predicted(tmp_path, raw.encode())[0] for raw in (plain, other))
    assert told["status"] == "ok" and told["pred_tpot_mean_s"] == two["pred_tpot_mean_s"]


@pytest.mark.parametrize("unit", ["k tokens", "characters", "words", "thousand"])
def test_lengths_in_another_unit_than_tokens_are_refused(unit, tmp_path):
    (tmp_path / "in.csv").write_text(PLAIN.replace(",isl,", f",isl ({unit}),"), encoding="utf-8")
    with pytest.raises(FileError, match=unit):
        read_table(str(tmp_path / "in.csv"))


@pytest.mark.parametrize(
    ("key", "cell", "value"),
    [
        ("concurrency", "1.024", 1024),
        ("concurrency", "1,024", 1024),
        ("isl", "217,4", 217.4),
        ("n_requests", "1.000", 1000),
        ("request_rate", "2,5", 2.5),
    ],
)
def test_semicolons_tell_a_decimal_comma(key, cell, value, tmp_path):
    names = HEADER.split(",")
    cells = {**dict(zip(names, CELLS.split(","), strict=True)), key: cell}
    (tmp_path / "in.csv").write_text(";".join(names) + "\n" + ";".join(cells[n] for n in names), encoding="utf-8")
    assert number(read_table(str(tmp_path / "in.csv")).named[0], key) == value


@pytest.mark.parametrize(("key", "cell"), [("isl", "16.384"), ("isl", "131.072"), ("request_rate", "12,345")])
def test_thousands_that_may_be_parts_are_refused(key, cell):
    with pytest.raises(ScenarioError, match="two ways"):
        number({key: cell}, key)


def test_an_average_of_three_places_is_one():
    assert number({"isl": "217.393"}, "isl") == 217.393 and number({"concurrency": "7.995"}, "concurrency") == 7.995


def test_a_format_that_nobody_knows_is_said(tmp_path):
    (row,) = predicted(tmp_path, PLAIN.replace(",bf16,", ",weird,").encode())
    assert row["status"] == "ok" and "'weird' is not known" in row["reason"]
