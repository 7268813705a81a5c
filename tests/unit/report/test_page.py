"""The page in a real browser, opened from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricated import fabricate, noise_samples

from orchestrator.report.pages import write_report
from tests.chromium import Browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    names = ("base", "sft", "rl")
    return write_report(fabricate(tmp_path_factory.mktemp("run"), noise_samples(root), root, names))


def choose(browser: Browser, select: str, value: str) -> None:
    browser.evaluate(
        f"document.getElementById('{select}').value = '{value}';"
        f"document.getElementById('{select}').dispatchEvent(new Event('change'))"
    )


def count(browser: Browser) -> str:
    return str(browser.evaluate("document.getElementById('count').textContent"))


def test_questions_come_a_page_at_a_time_with_their_frames(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.until("document.querySelectorAll('article').length === 10")
    assert count(browser) == "1 to 10 of 16 questions"
    assert browser.evaluate("document.querySelector('article img').naturalWidth") == 0  # not yet
    browser.evaluate("document.querySelector('article').scrollIntoView()")
    browser.until("document.querySelector('article img').naturalWidth > 0")
    browser.evaluate("document.getElementById('after').click()")
    browser.until("document.querySelectorAll('article').length === 6")
    assert count(browser) == "11 to 16 of 16 questions"
    assert browser.evaluate("document.getElementById('after').disabled")


def test_filters_narrow_them_down(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.until("document.querySelectorAll('article').length > 0")
    choose(browser, "category", "0")
    browser.until("document.querySelectorAll('article').length === 4")
    choose(browser, "change", "1:0 2:1")  # sft wrong, rl right
    browser.until("document.getElementById('count').textContent !== '1 to 4 of 4 questions'")
    shown = browser.evaluate(
        "[...document.querySelectorAll('article')].map(a => "
        "[...a.querySelectorAll('.answer')].map(b => b.classList.contains('right')))"
    )
    assert shown and all(verdicts[1:] == [False, True] for verdicts in shown)
    choose(browser, "verdict", "2:0")  # rl wrong, as well as right
    browser.until("document.getElementById('count').textContent === 'no such question'")


def test_texts_are_shown_as_they_are_written(browser: Browser, page: Path) -> None:
    browser.open(page.as_uri())
    browser.until("document.querySelectorAll('article').length > 0")
    asked = browser.evaluate("document.querySelector('.ask p').textContent")
    assert browser.evaluate("document.querySelectorAll('.ask b').length") == browser.evaluate(
        "document.querySelectorAll('.answer > b').length"
    )
    assert asked.startswith(("Does the camera", "Which description"))


def test_a_page_without_its_examples_says_so(browser: Browser, page: Path, tmp_path: Path) -> None:
    alone = tmp_path / "report.html"
    alone.write_bytes(page.read_bytes())
    browser.open(alone.as_uri())
    browser.until("document.getElementById('count').textContent !== 'loading …'")
    assert count(browser) == "examples/held_out/index.js is not beside this page"


def test_the_page_fits_a_phone(browser: Browser, page: Path) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser._ask("Emulation.setDeviceMetricsOverride", **size)
    browser.open(page.as_uri())
    browser.until("document.querySelectorAll('article').length > 0")
    assert browser.evaluate("document.documentElement.scrollWidth") == 400
