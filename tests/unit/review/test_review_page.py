"""The page in a real browser, by keyboard."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.review.server import ReviewServer
from tests.chromium import Browser


def open_page(browser: Browser, server: ReviewServer, reviewer: str) -> None:
    browser.open(f"{server.address}?reviewer={reviewer}")
    browser.until("view.item !== null")


def decided(count: int) -> str:
    return f"Object.keys(view.state.mine).length === {count} && !busy"


def test_accept_reject_with_a_note_and_resume(
    browser: Browser, server: ReviewServer, tmp_path: Path
) -> None:
    open_page(browser, server, "Ada")
    assert browser.evaluate("$('question').textContent") == "Question <b>0</b>?"  # text, not HTML
    browser.press("a")
    browser.until(decided(1))
    browser.until("view.item.id === 's1'")
    browser.press("r")
    browser.until("$('reject').open")
    browser.press("n")
    browser.type("the wall moves left")
    browser.press("Enter")
    browser.press("2")
    browser.until(decided(2))
    rows = (tmp_path / "review" / "decisions.jsonl").read_text().splitlines()
    kept = [json.loads(row) for row in rows]
    assert [(d["sample_id"], d["verdict"], d["reason"], d["note"]) for d in kept] == [
        ("s0", "accept", "", ""),
        ("s1", "reject", "the reasoning does not follow", "the wall moves left"),
    ]
    open_page(browser, server, "Ada")  # as after a crash
    assert browser.evaluate("view.item.id") == "s2"
    assert browser.evaluate("$('progress').textContent") == "2 of 4 decided"


def test_going_back_changes_a_verdict_and_another_reviewer_starts_anew(
    browser: Browser, server: ReviewServer
) -> None:
    open_page(browser, server, "Ada")
    browser.press("a")
    browser.until("view.item.id === 's1'")
    browser.press("ArrowLeft")
    browser.until("view.item.id === 's0'")
    assert browser.evaluate("$('verdict').textContent") == "accepted"
    browser.press("r")
    browser.until("$('reject').open")
    browser.press("Escape")
    browser.until("!$('reject').open")
    assert browser.evaluate("$('verdict').textContent") == "accepted"  # nothing was said
    browser.press("r")
    browser.press("1")
    browser.until("view.state.mine.s0.verdict === 'reject'")
    open_page(browser, server, "Grace")
    assert browser.evaluate("view.item.id") == "s0"
    browser.press("a")
    browser.until(decided(1))
    agreed = browser.evaluate("view.state.summary.agreements[0]")
    assert (agreed["n"], agreed["agreed"], agreed["kappa"]) == (1, 0.0, 0.0)


def test_the_clip_plays_steps_and_says_when_it_cannot(
    browser: Browser, server: ReviewServer
) -> None:
    open_page(browser, server, "Ada")
    browser.until("$('frame').naturalWidth === 56")
    browser.until("view.frame === 2")  # it plays by itself
    browser.press(" ")
    stopped = browser.evaluate("view.frame")
    browser.press(".")
    assert browser.evaluate("view.frame") == (stopped + 1) % 4
    assert browser.evaluate("[...$('strip').children].findIndex(p => p.className)") == (
        browser.evaluate("view.frame")
    )
    browser.evaluate("go(3)")
    assert "InvalidDataError" in browser.evaluate("$('problem').textContent")


def test_a_server_that_is_gone_is_said_and_no_verdict_is_shown(
    browser: Browser, server: ReviewServer
) -> None:
    open_page(browser, server, "Ada")
    server.shutdown()
    server.server_close()
    browser.press("a")
    browser.until("$('error').textContent !== ''")
    assert browser.evaluate("$('verdict').textContent") == "undecided"
