"""Engines in processes of their own: nothing lost, nothing asked twice, whatever dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from eval_fixtures import make_config, response, sample

from data_builders.frames import FrameIndex
from orchestrator.evaluation.engines import (
    EngineError,
    Outcome,
    Request,
    Response,
    answer_each,
)
from orchestrator.evaluation.identity import identity
from orchestrator.evaluation.ledger import Ledger
from orchestrator.evaluation.pool import DEATHS, EngineDiedError, engines, shares, spread
from orchestrator.evaluation.run import evaluate

SAMPLES = [sample(number, question=f"Question {number}?") for number in range(12)]


class Mortal:
    """Echoes questions with its process and its GPUs; dies over `deadly` ones, so many `times`."""

    def __init__(self, folder: Path, deadly: str = "", times: int = 10**9) -> None:
        self.folder, self.deadly, self.times = folder, deadly, times
        self.devices = os.environ.get("CUDA_VISIBLE_DEVICES", "")

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        dead = len([*self.folder.glob("died-*")])
        if self.deadly and dead < self.times and any(r.texts[0] == self.deadly for r in batch):
            (self.folder / f"died-{dead}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [Response(f"{r.texts[0]} {os.getpid()} {self.devices}", 1) for r in batch]


class Broken:
    def __init__(self) -> None:
        raise EngineError("half of its tensors are missing")


class Certain:
    """Answers A, in whatever process."""

    def __init__(self, name: str, checkpoint: Path, tokens: int) -> None:
        self.checkpoint = checkpoint

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        return [Response(response("A"), os.getpid()) for _ in batch]


def ask(opening: Callable[[], Mortal], questions: Sequence[str], count: int = 2) -> list[Outcome]:
    """What `count` engines make of the questions, two a batch."""
    requests = [Request("", (text,)) for text in questions]
    batches = [requests[start : start + 2] for start in range(0, len(requests), 2)]
    with engines(opening, count) as team:
        workers = [partial(answer_each, engine) for engine in team]
        return [outcome for rows in spread(workers, batches) for outcome in rows]


def texts(outcomes: Sequence[Outcome]) -> list[str]:
    return [each.text for each in outcomes if isinstance(each, Response)]


def test_engines_share_the_questions_and_the_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    answers = [text.split() for text in texts(ask(partial(Mortal, tmp_path), list("abcdefgh")))]
    assert sorted(question for question, *_ in answers) == list("abcdefgh")
    assert len({process for _, process, _ in answers}) == 2
    assert {devices for *_, devices in answers} == {"4,5", "6,7"}
    assert str(os.getpid()) not in {process for _, process, _ in answers}


def test_one_engine_lives_in_this_process(tmp_path: Path) -> None:
    (answer,) = texts(ask(partial(Mortal, tmp_path), ["a"], count=1))
    assert answer.split()[1] == str(os.getpid())


def test_a_process_that_dies_starts_again_and_its_questions_are_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answers = texts(ask(partial(Mortal, tmp_path, "c", 1), list("abcdef")))
    assert sorted(text.split()[0] for text in answers) == list("abcdef")
    assert "an engine's process died over 2 questions; it starts again" in caplog.text


def test_of_a_batch_that_kills_only_the_deadly_question_fails(tmp_path: Path) -> None:
    outcomes = ask(partial(Mortal, tmp_path, "c"), list("abcdef"))
    assert sorted(text.split()[0] for text in texts(outcomes)) == list("abdef")
    assert [str(e) for e in outcomes if isinstance(e, EngineError)] == [
        "the engine's process died over it twice"
    ]


def test_an_engine_that_dies_whatever_it_is_asked_stops_the_stage(tmp_path: Path) -> None:
    with pytest.raises(EngineDiedError, match=f"died {DEATHS} times in a row"):
        ask(partial(Mortal, tmp_path, "c"), list("cccccc"))


def test_a_checkpoint_that_does_not_load_is_told_as_without_processes() -> None:
    with pytest.raises(EngineError, match="half of its tensors"), engines(Broken, 2):  # type: ignore[arg-type]
        pass


def test_more_engines_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    assert shares(1) == ["0,1,2"] and shares(3) == ["0", "1", "2"] and shares(2) == ["0", "1"]
    with pytest.raises(EngineDiedError, match=r"4 engines.*eval\.engines.*3 at most"):
        shares(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert shares(2) == [None, None]


def test_an_evaluation_by_two_engines_is_complete_in_one_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = np.zeros((2, 56, 56, 3), np.uint8)
    monkeypatch.setattr(FrameIndex, "load", lambda self, clip: (frames, self.meta(clip)))
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_text("base")
    config = make_config(tmp_path, SAMPLES, checkpoints={"base": tmp_path / "base"})
    told: list[int] = []
    assert (
        evaluate(
            config.model_copy(update={"engines": 2}),
            progress=lambda name, done, total: told.append(done),
            open_=Certain,
        )
        == 12
    )
    ledger = Ledger(config.answers / f"{identity(config, 'base')}.jsonl")
    rows = [row for row in map(ledger.get, ledger._rows) if row]
    assert len(rows) == 12 and len({row.tokens for row in rows}) == 2
    assert told == sorted(told) and told[-1] == 12
    assert evaluate(config, open_=Certain) == 0
