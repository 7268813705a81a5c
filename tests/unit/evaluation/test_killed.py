"""An evaluation killed at any moment: at most one batch is lost, and nothing is asked twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from eval_fixtures import make_config, response, sample

from data_builders.frames import FrameIndex
from orchestrator.evaluation.collect import collect
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.engines import Outcome, Request, Response
from orchestrator.evaluation.predictions import read_predictions
from orchestrator.evaluation.run import evaluate

SAMPLES = [sample(n, question=f"Question {n}?") for n in range(12)]
BATCH = 4


class Logged:
    """Answers A, and writes down what it was asked before it answers."""

    def __init__(self, asked: Path, pauses_at: int) -> None:
        self.asked, self.pauses_at = asked, pauses_at

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        with self.asked.open("a") as file:
            file.writelines(f"{request.texts[-1].splitlines()[0]}\n" for request in batch)
        if len(self.asked.read_text().splitlines()) >= self.pauses_at:
            sys.stdout.write("here\n")
            sys.stdout.flush()
            signal.pause()
        return [Response(response("A"), 5) for _ in batch]


def run(config: EvalConfig, pauses_at: int) -> None:
    """What the child process does; frames need no decoding here."""
    frames = np.zeros((2, 56, 56, 3), np.uint8)
    FrameIndex.load = lambda self, clip: (frames, self.meta(clip))  # type: ignore[method-assign]
    engine = Logged(config.out / "asked", pauses_at)
    evaluate(config, open_=lambda name, checkpoint, tokens: engine)


def child(config: EvalConfig, pauses_at: int) -> subprocess.Popen[str]:
    path = config.out / "eval.json"
    path.write_text(config.model_dump_json())
    code = (
        "import sys; from pathlib import Path; import conftest; import test_killed\n"
        "from orchestrator.evaluation.config import EvalConfig\n"
        f"config = EvalConfig.model_validate_json(Path({str(path)!r}).read_text())\n"
        f"test_killed.run(config, {pauses_at})"
    )
    here = Path(__file__).parent
    environ = {**os.environ, "PYTHONPATH": f"{here}{os.pathsep}{here.parents[2]}"}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[EvalConfig]:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model.safetensors").write_text("weights")
    yield make_config(tmp_path, SAMPLES, batch_size=BATCH)


@pytest.mark.parametrize("pauses_at", [4, 8, 12])
def test_a_kill_loses_at_most_the_batch_that_was_being_answered(
    config: EvalConfig, pauses_at: int
) -> None:
    with child(config, pauses_at) as process:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        process.kill()
        assert process.wait() == -signal.SIGKILL
    kept = [
        line for path in config.answers.glob("*.jsonl") for line in path.read_text().split("\n")
    ]
    assert len([line for line in kept if line]) == pauses_at - BATCH
    with child(config, 10**9) as process:
        assert process.wait() == 0
    asked = (config.out / "asked").read_text().splitlines()
    assert len(asked) == len(SAMPLES) + BATCH and len(set(asked)) == len(SAMPLES)
    collect(config)
    rows = read_predictions(config.predictions)
    assert sorted(row.sample_id for row in rows) == sorted(one.id for one in SAMPLES)
    assert not any(row.error for row in rows)


@pytest.mark.parametrize("torn", [1, 7, 40, 200])
def test_a_write_that_a_kill_tore_is_dropped_and_asked_again(config: EvalConfig, torn: int) -> None:
    with child(config, 10**9) as process:
        assert process.wait() == 0
    [ledger] = config.answers.glob("*.jsonl")
    whole = ledger.read_bytes()
    ledger.write_bytes(whole[:-torn])
    survived = ledger.read_bytes().count(b"\n")
    with child(config, 10**9) as process:
        assert process.wait() == 0
    asked = (config.out / "asked").read_text().splitlines()
    assert len(asked) == len(SAMPLES) + (len(SAMPLES) - survived)
    keys = [json.loads(line)[0] for line in ledger.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == len(SAMPLES)


def test_two_evaluations_of_one_model_ask_nothing_twice(config: EvalConfig) -> None:
    with child(config, 4) as first:
        assert first.stdout is not None and first.stdout.readline() == "here\n"
        with child(config, 10**9) as second:  # waits for the model's ledger
            first.kill()
            assert second.wait() == 0
    assert len((config.out / "asked").read_text().splitlines()) == len(SAMPLES) + BATCH
