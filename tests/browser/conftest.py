"""A real server of the app and a real Chromium, for the tests of this folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
APP = str(Path(__file__).parents[2] / "app.py")


@pytest.fixture(scope="module")
def address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    server = subprocess.Popen([sys.executable, "-m", "streamlit", "run", APP, *flags], stdout=subprocess.DEVNULL)
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        path = CHROMIUM or running.chromium.executable_path
        if not Path(path).exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        found = running.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield found
        found.close()


@pytest.fixture
def page(browser):
    found = browser.new_page(viewport={"width": 1280, "height": 900})
    found.set_default_timeout(60_000)
    yield found
    found.close()


#: Nothing runs and nothing fades: a page in motion is no page to judge.
QUIET = """() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'
  && [...document.querySelectorAll('[data-testid=stMain] [data-testid]')].every(one => one.dataset.stale !== 'true'
      && (one.dataset.testid === 'stCaptionContainer' || !(one.dataset.testid || '').match(/Container|Block|Column/)
          || getComputedStyle(one).opacity === '1'))"""
LOOKS, LOOK_EVERY_MS, MOST_LOOKS = 3, 250, 240


@pytest.fixture(scope="session")
def settled():
    """A function of a page: the answer's sentence once the page has been quiet for three looks in a row."""

    def wait(page) -> str:
        page.wait_for_selector("[data-testid=stAlert]")
        quiet = 0
        for _ in range(MOST_LOOKS):
            page.wait_for_timeout(LOOK_EVERY_MS)
            page.wait_for_selector("[data-testid=stAlert]")
            quiet = quiet + 1 if page.evaluate(QUIET) else 0
            if quiet == LOOKS:
                break
        return page.locator("[data-testid=stAlert]").first.inner_text()

    return wait
