"""The page in a real browser; real clips and frames, and policies that say what they are told."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pytest

from data_builders.decoding import write_lossless
from orchestrator.ask.checkpoints import of_run
from orchestrator.ask.desk import Desk
from orchestrator.ask.gallery import Exhibit
from orchestrator.ask.policy import Ask
from orchestrator.ask.server import AskServer
from tests.chromium import Browser

SAID = "<observation>It <b>slides</b>.</observation><think>A pan.</think><answer>{}</answer>"


class Parrot:
    """Says Yes to what has "left" in it; a base model says nothing of use."""

    def __init__(self, checkpoint: Any, engine: str) -> None:
        self.name = checkpoint.name

    def __enter__(self) -> Parrot:
        return self

    def __exit__(self, *_: type | BaseException | TracebackType | None) -> None:
        """Nothing runs."""

    def answer(self, batch: Sequence[Ask]) -> list[dict[str, Any]]:
        if self.name.endswith("base"):
            return [{"text": "hm", "tokens": 1} for _ in batch]
        return [{"text": SAID.format("AB"["left" not in a.text]), "tokens": 9} for a in batch]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "gallery" / "pan.mp4"
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
    write_lossless(path, pixels, Fraction(2))
    return path


@pytest.fixture
def page(browser: Browser, run: Path, clip: Path, tmp_path: Path) -> Iterator[Browser]:
    folder = tmp_path / "uploads"
    folder.mkdir()
    gallery = [Exhibit(clip.name, "pan_left")]
    desk = Desk(of_run(run), "hf", folder, gallery, clip.parent, Parrot)  # type: ignore[arg-type]
    desk.recipe = desk.recipe.model_copy(
        update={"data": desk.recipe.data.model_copy(update={"cache_dir": str(tmp_path / "cache")})}
    )
    with AskServer(desk, 0) as server:
        poll = {"poll_interval": 0.01}
        threading.Thread(target=server.serve_forever, kwargs=poll, daemon=True).start()
        browser.open(server.address)
        browser.until("view.state !== null && $('gallery').children.length === 1")
        yield browser
        server.shutdown()


def answers(page: Browser) -> list[str]:
    page.until("document.querySelector('#answers .card') && !document.querySelector('.wait')")
    return list(
        page.evaluate("[...document.querySelectorAll('#answers .card')].map(c => c.innerText)")
    )


def test_checkpoints_answer_side_by_side_about_a_clip_of_the_gallery(page: Browser) -> None:
    page.evaluate("$('gallery').children[0].click()")
    page.until("view.clip !== null")
    assert page.evaluate("$('about').textContent").startswith("8 frames of 56x56, 2.00 a second")
    times = "[...document.querySelectorAll('#strip figcaption')].map(c => c.textContent)"
    assert page.evaluate(times)[:3] == ["0.00 s", "0.50 s", "1.00 s"]
    page.evaluate("$('question').value = 'Does the camera pan to the left?'; $('ask').click()")
    base, sft = answers(page)
    assert "names no option" in base and "not in the recipe's format" in base.lower()
    assert "It <b>slides</b>." in sft and "A. Yes ✓" in sft  # text, not HTML
    page.evaluate("$('question').value = 'Does the camera pan to the right?'; $('ask').click()")
    assert "B. No ✓" in answers(page)[1]
    page.evaluate("document.querySelector('#checkpoints input').click(); $('ask').click()")
    assert len(answers(page)) == 1


def test_a_motion_card_marks_what_is_true(page: Browser) -> None:
    page.evaluate("$('gallery').children[0].click()")
    page.until("view.clip !== null")
    page.evaluate("$('card').click()")
    [table] = answers(page)
    assert "pan left (true)" in table
    rows = "[...document.querySelectorAll('#answers tbody tr')].map(r => r.innerText.split('\\t'))"
    found = {row[0]: row[1:] for row in page.evaluate(rows)}
    assert len(found) == 9
    assert found["pan left (true)"] == ["?", "Yes"] and found["pan right"] == ["?", "No"]


def test_a_dropped_clip_is_asked_about_without_a_truth(page: Browser, clip: Path) -> None:
    data = list(clip.read_bytes())
    page.evaluate(
        f"""(() => {{ const files = new DataTransfer();
        files.items.add(new File([new Uint8Array({data})], "mine & yours.mp4"));
        const given = {{ dataTransfer: files, bubbles: true, cancelable: true }};
        document.body.dispatchEvent(new DragEvent("drop", given)); }})()"""
    )
    page.until("view.clip !== null")
    assert page.evaluate("view.clip.clip").endswith("/mine & yours.mp4")
    page.evaluate("$('question').value = 'Is it left?'; $('ask').click()")
    sft = answers(page)[1]
    assert "A. Yes" in sft and "✓" not in sft


def test_a_phone_shows_clip_question_answers_and_gallery_one_below_the_other(
    page: Browser,
) -> None:
    page.size(390, 844)
    try:
        page.evaluate("$('gallery').children[0].click()")
        page.until("view.clip !== null")
        page.evaluate("$('question').value = 'Is it left?', $('options').value = 'left\\nright'")
        page.evaluate("$('ask').click()")
        answers(page)
        top = "getBoundingClientRect().top"
        order = [
            page.evaluate(f"$('{part}').{top}") for part in ("stage", "form", "answers", "known")
        ]
        assert order == sorted(order)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
    finally:
        page.size(1400, 900)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("$('question').value = 'Is it?'; $('ask').click()", "first drop in a clip"),
        ("taken([new File(['no video'], 'bad.mp4')])", "InvalidDataError"),
        ("guarded(() => open(post('known', {clip: '/etc/passwd'})))", "no http(s) address"),
        ("guarded(() => post('ask', {clip: 'x'}))", "no such request"),
    ],
)
def test_what_goes_wrong_is_said_on_the_page(page: Browser, script: str, said: str) -> None:
    page.evaluate("$('error').textContent = ''")
    page.evaluate(f"void ({script.replace('; ', ', ')})")
    page.until("$('error').textContent !== ''")
    assert said in page.evaluate("$('error').textContent")


def test_a_question_that_needs_options_says_so_in_its_card(page: Browser) -> None:
    page.evaluate("$('gallery').children[0].click()")
    page.until("view.clip !== null")
    page.evaluate("$('question').value = 'What moves?', $('options').value = '', $('ask').click()")
    assert all("no yes-or-no question" in card for card in answers(page))
    page.evaluate("$('which').click()")
    assert "pan left" in page.evaluate("$('options').value").split("\n")
    answers(page)


def test_the_page_asks_nothing_of_any_other_machine(page: Browser) -> None:
    page.evaluate("$('gallery').children[0].click()")
    page.until("view.clip !== null")
    resources = page.evaluate("performance.getEntriesByType('resource').map(r => new URL(r.name))")
    hosts = "[...new Set(performance.getEntriesByType('resource').map(r => new URL(r.name).host))]"
    assert resources and page.evaluate(hosts) == [page.evaluate("location.host")]
