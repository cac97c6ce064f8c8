"""The web app in a real Chromium: journeys in two languages, and what axe says of each screen.

Slow: `pytest -m slow tests/browser`, with `pip install -e '.[app,browser]'` and a chromium on the path.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
APP = str(Path(__file__).parents[2] / "app.py")
PORT = 8652
SCREENS = ("need", "hardware", "answer", "cost", "deploy")


@pytest.fixture(scope="module")
def address():
    flags = ["--server.port", str(PORT), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", APP, *flags], stdout=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{PORT}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on the path")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    found.set_default_timeout(60_000)
    yield found
    found.close()


def settled(page) -> str:
    """The answer's sentence once nothing runs any more."""
    page.wait_for_selector("[data-testid=stAlert]")
    page.wait_for_timeout(800)
    page.wait_for_function("!document.querySelector('[data-testid=stStatusWidget]')")
    return page.locator("[data-testid=stAlert]").first.inner_text()


@pytest.mark.parametrize(
    ("language", "answer", "users"),
    [("en", "3 · Answer", "Users connected at the peak"), ("fr", "3 · Réponse", "Utilisateurs connectés à la pointe")],
)
def test_from_the_need_to_the_answer_with_the_keyboard_alone(page, address, language, answer, users):
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


def test_no_address_but_the_servers_own_is_asked_for(page, address):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{address}/?screen=answer")
    settled(page)
    own = (address, address.replace("http", "ws"), "data:", "blob:")
    assert asked and not [url for url in asked if not url.startswith(own)]


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing_serious(page, address, language, screen):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page.goto(f"{address}/?lang={language}&screen={screen}")
    settled(page)
    found = axe.run(page).response["violations"]
    grave = [v for v in found if v["impact"] in ("serious", "critical")]
    assert not grave, [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in grave]


def test_it_fits_a_telephone(browser, address):
    page = browser.new_page(viewport={"width": 360, "height": 780})
    page.goto(f"{address}/?lang=fr&screen=answer")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()
