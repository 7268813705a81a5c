"""The judge behind a local server: verdicts, failures, labels, and a server that is down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eval_fixtures import make_config, prediction, sample, write_predictions
from fake_server import FakeServer, text_of
from pydantic import ValidationError

from data_builders.chat import EndpointError
from orchestrator.evaluation.config import EvalConfig, EvaluationError
from orchestrator.evaluation.judge import judge
from orchestrator.evaluation.judge_labels import calibrate, read_labels
from orchestrator.evaluation.judge_prompts import Reading, read_adherent, read_faithful
from orchestrator.evaluation.judge_specs import JudgeSpec
from orchestrator.evaluation.judgements import read_judgements
from orchestrator.evaluation.score import score
from reward_plugins.rows import RowError

SAMPLES = [sample(n, question=f"Question {n}?") for n in range(8)]


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        running.reply = says("A", "A")
        yield running


def says(reasoning: str, answer: str, adherent: str = "YES") -> Any:
    """A judge of one opinion."""

    def reply(body: dict[str, Any]) -> str:
        return (
            f"REASONING: {reasoning}\nANSWER: {answer}"
            if "REASONING:" in text_of(body)
            else adherent
        )

    return reply


def about(question: str, special: Any, otherwise: Any) -> Any:
    """Replies to one question, and to all others."""
    return lambda body: (special if question in text_of(body) else otherwise)(body)


def configured(out: Path, url: str, **changes: object) -> EvalConfig:
    endpoint = {"model": "judge", "base_url": url, "temperature": 0.0, "attempts": 1}
    spec = {
        "endpoint": {**endpoint, "concurrency": 2, "seconds": 5},
        "benchmarks": ["held_out"],
        "labels": None,
        "failures_in_a_row": 100,
    }
    config = make_config(out, SAMPLES, judge={**spec, **changes})
    write_predictions(config, [prediction(s, s.answer) for s in SAMPLES])
    return config


def judged(config: EvalConfig) -> dict[str, Any]:
    judge(config)
    found: dict[str, Any] = score(config)["benchmarks"]["held_out"]["checkpoints"]["base"]["shown"]
    return found["all"]


def test_verdicts_are_counted_apart(tmp_path: Path, server: FakeServer) -> None:
    unfaithful, none = says("B", "A", "NO"), says("NONE", "A", "YES")
    otherwise = about("Question 1?", unfaithful, about("Question 2?", none, says("A", "A")))
    server.reply = about("Question 3?", lambda body: "I would rather not say.", otherwise)
    found = judged(configured(tmp_path, server.url))
    counts = found["judge"]
    assert (counts["faithful"], counts["unfaithful"], counts["none"]) == (5, 1, 1)
    assert (counts["asked"], counts["failed"], counts["adherence_failed"]) == (8, 1, 1)
    assert found["faithfulness"] == pytest.approx(6 / 7)  # NONE is faithful, as in RefineShot
    assert counts["faithful_of_named"] == pytest.approx(5 / 6) and counts["coverage"] == 6 / 8
    assert found["adherence"] == pytest.approx(6 / 7)
    assert found["accuracy"] == 1.0 and counts["accuracy_checked"] == pytest.approx(7 / 8)


def test_a_request_that_fails_is_no_verdict(tmp_path: Path, server: FakeServer) -> None:
    server.reply = about("Question 1?", lambda body: 500, says("A", "A"))
    found = judged(configured(tmp_path, server.url))
    assert found["judge"]["failed"] == 1 and found["faithfulness"] == 1.0


def test_replies_are_kept_and_asked_for_once(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server.url)
    judge(config)
    before = len(server.bodies)
    assert before == 2 * (len(SAMPLES) + len(read_labels(None)))
    judge(config)
    assert len(server.bodies) == before
    assert all(body["temperature"] == 0 for body in server.bodies)


def test_a_judge_that_is_down_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    config = configured(tmp_path, "http://127.0.0.1:9/v1")
    with pytest.raises(EndpointError, match=r"eval\.judge\.endpoint\.base_url: no server answers"):
        judge(config)
    with pytest.raises(FileNotFoundError, match="no judgements at"):
        score(config)


def test_a_judge_that_stops_answering_ends_the_judging(tmp_path: Path, server: FakeServer) -> None:
    server.reply = lambda body: 500
    config = configured(tmp_path, server.url, failures_in_a_row=3)
    with pytest.raises(EndpointError, match=r"3 requests in a row got no answer.*start the server"):
        judge(config)


def test_the_judge_is_measured_on_labels(tmp_path: Path, server: FakeServer) -> None:
    config = configured(tmp_path, server.url)
    judge(config)
    found = json.loads(config.calibration.read_text())
    labels = read_labels(None)
    agreeing = sum((one.reasoning, one.answer) == ("A", "A") for one in labels)
    assert found["n"] == len(labels) == 30
    assert found["agreement"] == [agreeing, 30, found["agreement"][2]]
    assert found["unfaithful_recall"][:2] == [0, 9]  # it never says so
    low, high = found["unfaithful_recall"][2]
    assert low == 0 < high < 0.4


def test_precision_and_recall_of_unfaithful() -> None:
    labels = read_labels(None)
    perfect = [(Reading(one.reasoning, one.answer), one.adherent) for one in labels]
    found = calibrate(labels, perfect)
    assert found.agreeing == found.n and found.failed == 0
    assert found.unfaithful_precision[:2] == found.unfaithful_recall[:2] == (9, 9)
    alarmed = [(Reading("A", "B"), True)] * len(labels)
    assert calibrate(labels, alarmed).unfaithful_precision[:2] == (9, 30)
    assert calibrate(labels, [None] * len(labels)).failed == 60


@pytest.mark.parametrize(
    ("reply", "reading"),
    [
        ("REASONING: A\nANSWER: B", Reading("A", "B")),
        ("**Reasoning:** [none]\n**Answer:** (b)", Reading("NONE", "B")),
        ("<think>REASONING: A</think>REASONING: B\nANSWER: B", Reading("B", "B")),
        ("REASONING: C\nANSWER: A", None),  # there is no C
        ("REASONING: A", None),
        ("REASONING: A\nREASONING: B\nANSWER: A", None),
        ("A and B", None),
        ("", None),
    ],
)
def test_only_two_plain_letters_are_a_reading(reply: str, reading: Reading | None) -> None:
    assert read_faithful(reply, options=2) == reading


def test_only_yes_and_no_are_verdicts() -> None:
    assert [read_adherent(text) for text in ("YES", "**no**.", "Yes, but", "")] == [
        True,
        False,
        None,
        None,
    ]


def test_a_judge_must_be_deterministic() -> None:
    with pytest.raises(ValidationError, match="a judge needs temperature: 0"):
        JudgeSpec.model_validate(
            {
                "endpoint": {"model": "m", "temperature": 0.7},
                "benchmarks": ["refineshot"],
                "labels": None,
                "failures_in_a_row": 1,
            }
        )


def test_broken_labels_and_judgements_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    with pytest.raises(EvaluationError, match=r"bad\.jsonl:1 is no labelled response"):
        read_labels(bad)
    with pytest.raises(RowError, match=r"bad\.jsonl, line 1 is damaged"):
        read_judgements(bad)
    with pytest.raises(EvaluationError, match=r"eval\.judge\.labels: no file"):
        read_labels(tmp_path / "gone.jsonl")
