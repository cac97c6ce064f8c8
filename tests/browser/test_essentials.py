"""What no change of the app may break, in a real Chromium and in every run of the tests: from a need to an answer in
two languages, the URL, a bad input, and axe on every screen. The other files of this folder are slow and go further.

Skipped, and said so, where there is no Chromium: `apt-get install chromium`, or `playwright install chromium`.
"""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

pytest.importorskip("streamlit")
pytest.importorskip("playwright.sync_api")
from infrascale.app.state import SCREENS
from infrascale.locales import words

#: Each screen in one of these, so that over all screens each language, scheme and width is looked at.
VIEWS = (("en", "light", 1280), ("fr", "dark", 360), ("fr", "light", 3840), ("en", "dark", 1280))
ALL = (*SCREENS, "have")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_a_need_is_typed_answered_and_stands_in_the_url(page, address, settled, language):
    w = words(language)
    page.goto(f"{address}/?lang={language}")
    before = settled(page)
    field = page.get_by_label(w.say("app.users"))
    field.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("50000")
    page.keyboard.press("Enter")
    page.wait_for_function("before => document.querySelector('[data-testid=stAlert]').innerText !== before", arg=before)
    after = settled(page)
    assert "users=50000" in page.url
    page.get_by_text(w.say("app.screen_answer"), exact=True).click()
    page.get_by_role("heading", name=w.say("app.moves")).wait_for()
    page.wait_for_function(
        "() => document.querySelectorAll('[data-testid=stVegaLiteChart] canvas, svg.marks').length > 4"
    )
    assert settled(page) == after
    page.goto(page.url)
    assert settled(page) == after and page.locator("[data-testid=stException]").count() == 0


#: What has the focus: its label or words, for a field, a button or a choice among several.
FOCUSED = """() => { const one = document.activeElement;
  if (!['INPUT', 'BUTTON', 'TEXTAREA'].includes(one.tagName)) return '';
  return [one.getAttribute('aria-label'), ...[...one.labels || []].map(label => label.innerText), one.innerText]
    .filter(Boolean).join(' | ') }"""


def tabbed(page, name: str, most: int = 60) -> None:
    """Tab after tab until what is so named has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if name in page.evaluate(FOCUSED):
            return
    raise AssertionError(f"no tab stop is named {name}")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_from_question_to_files_by_keyboard_alone(page, address, settled, language):
    """Both entrances: what is typed is answered, arrows walk the steps, and a button goes on to the files."""
    w = words(language)
    page.goto(f"{address}/?lang={language}")
    settled(page)
    tabbed(page, w.say("app.users"))
    page.keyboard.press("Control+A")
    page.keyboard.type("40000")
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('users=40000')")
    settled(page)
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    tabbed(page, w.say("app.screen_need"))
    for screen in ("hardware", "answer"):
        page.keyboard.press("ArrowRight")
        page.wait_for_function("screen => location.search.includes('screen=' + screen)", arg=screen)
        settled(page)
    page.get_by_role("heading", name=w.say("app.moves")).wait_for()
    page.goto(f"{address}/?lang={language}")
    settled(page)
    tabbed(page, w.say("app.goal_need"))
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => location.search.includes('goal=have')")
    settled(page)
    tabbed(page, w.say("app.screen_deploy"), 90)
    page.keyboard.press("Enter")
    page.wait_for_function("() => location.search.includes('screen=deploy')")
    settled(page)
    page.get_by_role("heading", name=w.say("app.files")).wait_for()
    assert "max_gpus=24" in page.url and page.locator("[data-testid=stException]").count() == 0


def test_what_is_no_number_is_said_in_place_and_leaves_no_stale_answer(page, address, settled):
    page.goto(f"{address}/?lang=fr")
    before = settled(page)
    field = page.get_by_label(words("fr").say("app.users"))
    field.fill("douze")
    field.press("Enter")
    page.get_by_text("« douze » n’est pas un nombre").wait_for()
    assert before not in page.locator("body").inner_text() and page.locator("[data-testid=stException]").count() == 0
    field.fill("1 000")
    field.press("Enter")
    page.wait_for_function("() => !document.body.innerText.includes('douze')")
    assert settled(page)


@pytest.mark.parametrize("place", range(len(ALL)), ids=ALL)
def test_axe_finds_nothing_serious_on_any_screen_and_nothing_sticks_out(browser, address, settled, place):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    language, scheme, width = VIEWS[place % len(VIEWS)]
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked = {"goal": "have"} if ALL[place] == "have" else {"screen": ALL[place], "users": "5000"}
    page.goto(f"{address}/?{urlencode(asked | {'lang': language, 'b': 'users=20000'})}")
    settled(page)
    assert page.locator("[data-testid=stException]").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for _ in range(3):  # what is only fading in passes a later look, what is wrong stays wrong
        grave = [v for v in axe.run(page).response["violations"] if v["impact"] in ("serious", "critical")]
        if not grave:
            break
        page.wait_for_timeout(2000)
        settled(page)
    page.close()
    assert not grave, [
        (v["id"], [node["html"][:160] + node["failureSummary"] for node in v["nodes"][:3]]) for v in grave
    ]
