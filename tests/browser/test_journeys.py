"""The web app in a real Chromium: journeys in two languages.

Slow: `pytest -m slow tests/browser`, with `pip install -e '.[app,browser]'` and a chromium on the path.
"""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("playwright.sync_api")


@pytest.mark.parametrize(
    ("language", "answer", "users"),
    [("en", "3 · Answer", "Users connected at the peak"), ("fr", "3 · Réponse", "Utilisateurs connectés à la pointe")],
)
def test_from_the_need_to_the_answer_with_the_keyboard_alone(page, address, settled, language, answer, users):
    page.goto(f"{address}/?lang={language}")
    before = settled(page)
    field = page.get_by_label(users)
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("50000")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('[data-testid=stAlert]').innerText !== before", arg=before)
    after = settled(page)
    assert "users=50000" in page.url
    page.get_by_text(answer, exact=True).click()
    page.wait_for_selector("[data-testid=stVegaLiteChart]")
    assert settled(page) == after
    page.goto(page.url)
    assert settled(page) == after
