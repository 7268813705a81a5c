"""Responses are kept by their score, and what becomes of the rest is counted."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from data_builders.sample import read_samples, write_samples
from data_builders.specs import PromptSpec
from orchestrator.evaluation.config import EvaluationError
from orchestrator.evaluation.engines import EngineError, Outcome, Request, Response
from orchestrator.evaluation.ledger import Answer, Ledger
from orchestrator.sampling import generate as generating
from orchestrator.sampling.config import SampleConfig, SamplingError
from orchestrator.sampling.generate import generate
from orchestrator.sampling.prepare import prepare
from orchestrator.sampling.select import select
from tests.givens import SPEC, question

RIGHT = "<observation>o</observation><think>t</think><answer>A</answer>"
OTHER = "<observation>p</observation><think>u</think><answer>A</answer>"
WRONG = "<observation>o</observation><think>t</think><answer>B</answer>"
LOOSE = "A"


def config_of(tmp_path: Path, count: int = 2, **changes: Any) -> SampleConfig:
    """Sampling of questions that show nothing but text."""
    samples = tmp_path / "questions.parquet"
    write_samples(samples, [question(number, media=()) for number in range(count)])
    fields = {
        "policy": "rl:step:20",
        "checkpoint": tmp_path,
        "questions": {"samples": samples, "clips": tmp_path},
        "cache": tmp_path / "cache",
        "frames": SPEC,
        "prompt": PromptSpec(),
        "engine": "hf",
        "responses": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "engines": 1,
        "batch_size": 4,
        "max_new_tokens": 8,
        "max_questions": None,
        "keep": "correct",
        "most": 2,
        "low": 0.0,
        "high": 1.0,
        "reward": {},
        "seed": 0,
        "workers": 1,
        "max_quarantined": 0.0,
        "out": tmp_path / "out",
    }
    config = SampleConfig.model_validate({**fields, **changes})
    config.out.mkdir()
    prepare(config)
    return config


def answered(config: SampleConfig, *responses: Sequence[str | None]) -> None:
    """A ledger with the responses to each question; None for one that failed."""
    ledger = Ledger(config.sampled)
    for sample, texts in zip(config.draw(), responses, strict=True):
        rows = [Answer(text, None if text else "no memory") for text in texts]
        ledger.append(zip(config.keys(sample), rows, strict=True))


def kept(config: SampleConfig) -> dict[str, int]:
    counts: dict[str, int] = json.loads((config.out / "kept.json").read_text())
    return counts


def test_right_and_well_formed_responses_are_kept_each_wording_once(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    answered(config, [RIGHT, RIGHT, OTHER, LOOSE], [WRONG, None, LOOSE, RIGHT])
    select(config)
    rows = read_samples(config.out / "questions.parquet")
    assert [(s.id, s.observation, s.think) for s in rows] == [
        ("s0#0", "o", "t"),
        ("s0#1", "p", "u"),
        ("s1#0", "o", "t"),
    ]
    assert all(sample.provenance["sampled_from"] == "rl:step:20" for sample in rows)
    counted = {"questions": 2, "responses": 8, "failed": 1, "kept": 3, "questions_kept": 2}
    assert kept(config) == {**counted, "unreadable": 0}


def test_the_best_is_one_a_question_and_nothing_where_nothing_pays(tmp_path: Path) -> None:
    config = config_of(tmp_path, keep="best")
    answered(config, [WRONG, OTHER, RIGHT, LOOSE], [LOOSE] * 4)
    select(config)
    assert [(s.id, s.think) for s in read_samples(config.out / "questions.parquet")] == [
        ("s0", "u")
    ]


def test_between_keeps_questions_without_a_trace(tmp_path: Path) -> None:
    config = config_of(tmp_path, 3, keep="between", low=0.1, high=0.9)
    answered(config, [RIGHT] * 4, [RIGHT, WRONG, None, None], [WRONG] * 4)
    select(config)
    [sample] = read_samples(config.out / "questions.parquet")
    assert (sample.id, sample.observation, sample.think) == ("s1", None, None)


def test_where_nothing_is_kept_the_stage_ends_with_the_first_failure(tmp_path: Path) -> None:
    config = config_of(tmp_path, 1)
    answered(config, [WRONG, LOOSE, None, None])
    with pytest.raises(
        SamplingError, match=r"no response of 4 to 1 questions.*first failure: no m"
    ):
        select(config)
    assert kept(config)["failed"] == 2


def test_two_questions_of_one_id_are_refused(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    write_samples(config.questions.samples, [question(0, media=()), question(0, media=())])
    with pytest.raises(EvaluationError, match="1 sample ids occur twice, such as 's0'"):
        config.draw()


class Engine:
    """Answers with its running number; fails where it is told to."""

    def __init__(self, failing: set[int]) -> None:
        self.count, self.failing = 0, failing

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        assert all(request.letters == () for request in batch)
        outcomes: list[Outcome] = []
        for _ in batch:
            self.count += 1
            failed = self.count in self.failing
            outcomes.append(EngineError("no memory") if failed else Response(f"{self.count}", 1))
        return outcomes


def test_a_killed_stage_goes_on_and_asks_again_what_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path, 3)
    monkeypatch.setattr(generating, "open_engine", lambda *a, **k: Engine({2}))
    generate(config)
    ledger = Ledger(config.sampled)
    assert ledger.get("s0#0") == Answer("1", None, 1) and "s0#1" not in ledger
    text = config.sampled.read_text().splitlines(keepends=True)
    config.sampled.write_text("".join(text[:9]) + '["s2#1", "to')  # killed in the third question
    monkeypatch.setattr(generating, "open_engine", lambda *a, **k: Engine(set()))
    generate(config)
    again = Ledger(config.sampled)
    assert again.get("s1#0") == ledger.get("s1#0")  # it was whole
    assert all(key in again for sample in config.draw() for key in config.keys(sample))
