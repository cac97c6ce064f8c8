"""The screens of a question in a real Chromium: both entrances, bad input, chips, levers, dropped files.

Slow: `pytest -m slow tests/browser`, with a Chromium.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("playwright.sync_api")

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 32000,
    "max_position_embeddings": 8192, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_other_entrance_by_a_click(page, address, settled, language):
    names = {"en": "What can my GPUs do?", "fr": "Que peuvent faire mes GPU ?"}
    said = {"en": "24 GPUs serve", "fr": "24 GPU servent"}
    page.goto(f"{address}/?lang={language}")
    settled(page)
    page.get_by_text(names[language]).click()
    page.wait_for_function("said => document.body.innerText.includes(said)", arg=said[language])
    page.wait_for_function("() => location.search.includes('goal=have')")


@pytest.mark.parametrize(("language", "chip"), [("en", "computed"), ("fr", "calculé")])
def test_a_chip_opens_its_formula_with_the_keyboard(page, address, settled, language, chip):
    page.goto(f"{address}/?lang={language}&users=20000")
    settled(page)
    page.get_by_role("button", name=chip).first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("(N +").wait_for()
    text = page.locator("[data-testid=stPopoverBody]").inner_text()
    assert "2^B" in text and "21" in text


def test_an_infeasible_question_is_mended_by_one_click(page, address, settled):
    page.goto(f"{address}/?screen=answer&ttft=0.01")
    settled(page)
    page.get_by_role("button", name="promise a first token within").first.click()
    page.get_by_text("proven fewest").wait_for()
    page.wait_for_function("() => /ttft=/.test(location.search) && !/ttft=0.01(&|$)/.test(location.search)")


def test_a_lever_is_pulled_by_one_click(page, address, settled):
    page.goto(f"{address}/?screen=answer&users=20000")
    before = settled(page)
    page.get_by_role("button", name="fewer").first.click()
    page.wait_for_function("before => document.querySelector('[data-testid=stAlert]').innerText !== before", arg=before)
    assert settled(page) != before


def test_a_config_json_is_dropped_and_the_url_holds_it(page, address, settled):
    page.goto(f"{address}/?screen=hardware")
    before = settled(page)
    drop = page.locator(".st-key-w_config_file input[type=file]")
    drop.set_input_files({"name": "ours.json", "mimeType": "application/json", "buffer": json.dumps(CONFIG).encode()})
    page.wait_for_function("() => location.search.includes('config=')")
    page.wait_for_function("before => document.querySelector('[data-testid=stAlert]').innerText !== before", arg=before)
    after = settled(page)
    page.goto(page.url)
    assert settled(page) == after


def test_usage_logs_are_dropped_and_become_the_need(page, address, settled):
    pytest.importorskip("duckdb")
    log = Path(__file__).parents[1] / "samples" / "usage" / "azure_2023_conv.csv"
    page.goto(f"{address}/")
    settled(page)
    page.get_by_text("Take the need from a file").click()
    page.locator(".st-key-w_import input[type=file]").set_input_files(str(log))
    page.get_by_role("button", name="Use this need").click()
    page.wait_for_function("() => location.search.includes('request_per_s=')")
    assert "isl=" in page.url and page.locator("[data-testid=stException]").count() == 0
