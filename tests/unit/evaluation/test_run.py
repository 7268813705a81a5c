"""The loop over questions, with an engine that needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from eval_fixtures import make_config, response, sample

from data_builders.frames import FrameCacheError, FrameIndex, FrameMeta
from orchestrator.evaluation import run
from orchestrator.evaluation.collect import collect
from orchestrator.evaluation.config import EvalConfig, EvaluationError
from orchestrator.evaluation.engines import EngineError, Outcome, Request, Response
from orchestrator.evaluation.identity import identity
from orchestrator.evaluation.ledger import Answer, Ledger
from orchestrator.evaluation.predictions import Prediction, read_predictions
from reward_plugins.rows import RowError

SAMPLES = [sample(n, question=f"Question {n}?") for n in range(10)]


class Scripted:
    """Answers A; fails where told to."""

    def __init__(self, fails_on: str = "", dies_after: int = 10**9) -> None:
        self.asked: list[str] = []
        self.fails_on, self.dies_after = fails_on, dies_after

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        if len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        if self.fails_on and any(self.fails_on in request.texts[-1] for request in batch):
            raise EngineError("out of memory")
        self.asked += [request.texts[-1].splitlines()[0] for request in batch]
        return [Response(response("A"), 5) for _ in batch]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EvalConfig:
    frames = np.zeros((2, 56, 56, 3), np.uint8)
    monkeypatch.setattr(FrameIndex, "load", lambda self, clip: (frames, self.meta(clip)))
    checkpoints = {name: tmp_path / name for name in ("base", "sft")}
    for name, path in checkpoints.items():
        path.mkdir()
        (path / "model.safetensors").write_text(name)
    return make_config(tmp_path, SAMPLES, checkpoints=checkpoints)


def evaluate(config: EvalConfig, engine: Scripted) -> list[Prediction]:
    run.evaluate(config, open_=lambda name, checkpoint, tokens: engine)
    collect(config)
    return read_predictions(config.predictions)


def test_vllm_is_opened_with_the_recipes_arguments(config: EvalConfig) -> None:
    opened: list[object] = []

    def open_(name: str, checkpoint: object, tokens: int, **settings: object) -> Scripted:
        opened.append((name, settings))
        return Scripted()

    wanted = {"max_model_len": 20480}
    run.evaluate(config.model_copy(update={"vllm": wanted}), open_=open_)
    versions = {**config.versions, "vllm": "other"}
    changed = {"vllm": wanted, "engine": "vllm", "versions": versions}
    run.evaluate(config.model_copy(update=changed), open_=open_)
    assert opened == [("hf", {})] * 2 + [("vllm", wanted)] * 2


def test_every_checkpoint_answers_every_question_once(config: EvalConfig) -> None:
    engine = Scripted()
    rows = evaluate(config, engine)
    assert len({(row.checkpoint, row.sample_id) for row in rows}) == len(rows) == 20
    assert {row.model for row in rows} == {identity(config, name) for name in config.checkpoints}
    assert len(engine.asked) == 20


def test_a_killed_run_loses_at_most_one_batch(config: EvalConfig) -> None:
    with pytest.raises(KeyboardInterrupt):
        evaluate(config, Scripted(dies_after=12))
    engine = Scripted()
    assert len(evaluate(config, engine)) == 20
    assert len(engine.asked) == 20 - 14  # batches of 4, 4 and 2, then 4, were on disk


def test_a_line_torn_by_a_crash_is_asked_again(config: EvalConfig) -> None:
    evaluate(config, Scripted())
    ledger = next(config.answers.glob("*.jsonl"))
    ledger.write_bytes(ledger.read_bytes()[:-20])
    engine = Scripted()
    assert len(evaluate(config, engine)) == 20 and len(engine.asked) == 1


@pytest.mark.parametrize("change", ["weights", "prompt", "frames", "tokens"])
def test_nothing_inherits_the_answers_of_something_else(config: EvalConfig, change: str) -> None:
    evaluate(config, Scripted())
    if change == "weights":
        (config.checkpoints["base"] / "model.safetensors").write_text("other")
    elif change == "prompt":
        prompt = config.prompt.model_copy(update={"template": "Now: {question}\n{options}"})
        config = config.model_copy(update={"prompt": prompt})
    elif change == "frames":
        path = config.index_path("held_out")
        index = FrameIndex.read(path, config.frames)
        clips = {c: m.model_copy(update={"key": f"new {c}"}) for c, m in index.clips.items()}
        index.model_copy(update={"clips": clips}).write(path)
    else:
        config = config.model_copy(update={"max_new_tokens": 99})
    engine = Scripted()
    evaluate(config, engine)
    assert len(engine.asked) == (10 if change == "weights" else 20)


def test_a_failing_question_is_an_error_of_its_own_and_is_retried_later(config: EvalConfig) -> None:
    failed = [row for row in evaluate(config, Scripted(fails_on="Question 3")) if row.error]
    assert [(row.sample_id, row.response, row.error) for row in failed] == [
        ("s3", None, "out of memory")
    ] * 2
    engine = Scripted()
    assert not any(row.error for row in evaluate(config, engine))
    assert engine.asked == ["Question 3?"] * 2


def test_a_damaged_clip_costs_its_own_questions(
    config: EvalConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: FrameIndex, clip: str) -> tuple[np.ndarray, FrameMeta]:
        if clip == "2.mp4":
            raise FrameCacheError("damaged")
        return np.zeros((2, 56, 56, 3), np.uint8), self.meta(clip)

    monkeypatch.setattr(FrameIndex, "load", load)
    engine = Scripted()
    failed = {row.sample_id for row in evaluate(config, engine) if row.error}
    assert failed == {"s4", "s5"} and len(engine.asked) == 2 * 8


def test_an_engine_that_answers_nothing_is_an_error(config: EvalConfig) -> None:
    with pytest.raises(EvaluationError, match="base: no question was answered; the first error"):
        evaluate(config, Scripted(fails_on="Question"))


def test_a_missing_checkpoint_shows_before_any_question(config: EvalConfig, tmp_path: Path) -> None:
    gone = config.model_copy(update={"checkpoints": {**config.checkpoints, "rl": tmp_path / "no"}})
    engine = Scripted()
    with pytest.raises(EvaluationError, match=f"no weights in {tmp_path / 'no'}"):
        evaluate(gone, engine)
    assert engine.asked == []


def test_a_ledger_with_foreign_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.jsonl").write_text('{"not": "a row"}\n')
    with pytest.raises(RowError, match=r"ledger\.jsonl, line 1 is damaged: remove that line"):
        Ledger(tmp_path / "ledger.jsonl")


def test_one_flipped_bit_of_a_ledger_changes_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    Ledger(path).append([("k", Answer("<answer>A</answer>", None, 5, 1, 0.1, [0.75, 0.25]))])
    whole = path.read_bytes()
    for place in range(len(whole) - 1):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        with pytest.raises(RowError, match=r"ledger\.jsonl, line 1 is damaged: remove that line"):
            Ledger(path)
    path.write_text('["k", "A", null, 5, 1, 0.1, null]\n')  # of an earlier version
    assert Ledger(path).get("k") == Answer("A", None, 5, 1, 0.1)
