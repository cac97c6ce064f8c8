"""The web app under a real browser's weight: every screen seen by axe, wide and narrow, light and dark; simulations
that are followed and ended; files dropped; fifty people at once; and no address asked for but the server's own.

Slow: `pytest -m slow tests/browser`, with a Chromium.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.slow
pytest.importorskip("streamlit")

from infrascale import api  # noqa: E402
from infrascale.app.state import SCREENS  # noqa: E402
from infrascale.locales import words  # noqa: E402

SAMPLES = Path(__file__).parents[1] / "samples" / "loadtests"
SESSIONS = 50
#: Where a screen shows more with more of a question.
MORE = {
    "compare": {"b": "users=20000&gpu=h200-sxm"},
    "cost": {"offer": "buy"},
    "have": {"goal": "have", "screen": "need"},
}
VIEWS = (("light", 1280), ("dark", 360), ("light", 3840), ("dark", 1280))


def opened(page, address: str, settled, **parameters: str) -> str:
    page.goto(f"{address}/?{urlencode(parameters)}")
    return settled(page)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("screen", (*SCREENS, "have"))
@pytest.mark.parametrize(("scheme", "width"), VIEWS)
def test_axe_finds_nothing_serious_and_nothing_sticks_out(browser, address, settled, language, screen, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(60_000)
    opened(page, address, settled, **({"lang": language, "screen": screen, "users": "5000"} | MORE.get(screen, {})))
    page.wait_for_timeout(1500)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    grave = [v for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert not grave, [(v["id"], [node["html"][:160] for node in v["nodes"][:3]]) for v in grave]
    page.close()


def test_no_screen_asks_for_an_address_but_the_servers_own(page, address, settled):
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for screen in SCREENS:
        opened(page, address, settled, screen=screen, users="5000", **MORE.get(screen, {}))
        page.wait_for_timeout(1000)
    own = (address, address.replace("http", "ws"), "data:", "blob:")
    assert len(asked) > len(SCREENS) and not [url for url in asked if not url.startswith(own)]


@pytest.mark.parametrize(("language", "people"), [("en", "30000"), ("fr", "31000")])
def test_a_day_is_followed_ended_and_begun_again(page, address, settled, language, people):
    """Each with a question of its own: what one session simulated is remembered for the others."""
    w = words(language)
    opened(page, address, settled, lang=language, screen="simulation", users=people)
    start, cancel = (page.get_by_role("button", name=w.say(key)) for key in ("simulation.start_day", "job.cancel"))
    start.click()
    page.wait_for_selector("[data-testid=stProgress]")
    cancel.click()
    start.wait_for()
    assert page.locator("[data-testid=stVegaLiteChart]").count() == 0
    start.click()
    page.wait_for_selector("[data-testid=stVegaLiteChart]", timeout=180_000)
    assert w.say("origin.simulated") in page.locator("[data-testid=stMain]").inner_text()
    page.get_by_text(w.say("app.table")).first.click()
    assert page.locator("[data-testid=stTable]").count() >= 2


@pytest.mark.parametrize("language", ["en", "fr"])
def test_load_tests_dropped_in_the_browser_change_the_answer_once_asked(page, address, settled, language, tmp_path):
    w = words(language)
    header, *rows = (SAMPLES / "measurements.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    good, bad = tmp_path / "h100.csv", tmp_path / "bad.json"
    good.write_text(header + "".join(row for row in rows if "H100" in row), encoding="utf-8")
    bad.write_bytes(b"\x80\x04\x95pickle")
    before = opened(page, address, settled, lang=language, screen="calibrate", users="5000")
    drop = page.locator("input[type=file]").first
    drop.set_input_files(str(bad))
    page.get_by_text(w.say("error.fix"), exact=False).first.wait_for()
    assert settled(page) == before
    page.get_by_role("button", name=re.compile("bad.json")).first.click()
    drop.set_input_files(str(good))
    page.get_by_text(w.say("calibration.use"), exact=True).click()
    page.wait_for_url(re.compile("calibrated=yes"))
    page.wait_for_selector("[data-testid=stVegaLiteChart]")
    assert w.say("calibration.url") in page.locator("[data-testid=stMain]").inner_text()


def test_fifty_people_at_once_each_get_their_own_answer(browser, address):
    """Fifty live sessions, opened before any is read, each with a question of its own on a screen of its own."""
    model = "mistralai/Mistral-Small-3.1-24B-Instruct-2503"
    asked = [(1000 * (n + 1), SCREENS[n % len(SCREENS)], ("en", "fr")[n % 2]) for n in range(SESSIONS)]
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    pages = []
    for users, screen, language in asked:
        page = context.new_page()
        page.goto(f"{address}/?lang={language}&screen={screen}&users={users}", wait_until="commit")
        pages.append(page)
    for page, (users, _, _) in zip(pages, asked, strict=True):
        best = api.plan(model=model, gpu="h100-sxm", users=users).best
        page.wait_for_selector("[data-testid=stAlert]", timeout=240_000)
        text = page.locator("[data-testid=stAlert]").first.inner_text()
        assert re.match(rf"{best.gpus:,}".replace(",", r"\D?") + r"\D", text.strip()), f"{users}: {text}"
        assert page.locator("[data-testid=stException]").count() == 0
    started = time.perf_counter()
    for page in pages[:5]:  # and they all still answer
        page.reload()
        page.wait_for_selector("[data-testid=stAlert]", timeout=120_000)
    assert time.perf_counter() - started < 300
    context.close()
