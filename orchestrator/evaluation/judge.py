"""Have a model judge the responses: `python -m orchestrator.evaluation.judge <config.json>`.

RefineShot's two scores (arXiv 2510.02423; its evaluation/calculate_scores.py:108-251). Faithful
reasoning: does the answer say what the reasoning leads to? Instruction adherence: does the
response keep to the form that was asked for? Every reply is kept: a stopped run goes on.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from filelock import FileLock

from data_builders.chat import Chat, ChatError, EndpointError, check_endpoint
from data_builders.ledger import Ledger
from data_builders.progress import Meter
from data_builders.prompt import user_text
from data_builders.serving import served
from orchestrator.evaluation.config import EvalConfig, EvaluationError, run_command
from orchestrator.evaluation.judge_labels import Calibration, Label, calibrate, read_labels
from orchestrator.evaluation.judge_prompts import (
    Reading,
    ask_adherent,
    ask_faithful,
    read_adherent,
    read_faithful,
)
from orchestrator.evaluation.judge_specs import JudgeSpec
from orchestrator.evaluation.judgements import Judgement, write_judgements
from orchestrator.evaluation.predictions import Prediction, read_predictions
from orchestrator.evaluation.questions import asked
from reward_plugins.files import write_file

log = logging.getLogger(__name__)

KEY = "eval.judge.endpoint"
Job = TypeVar("Job")


class Judge:
    """Asks one endpoint; used by many threads."""

    def __init__(self, spec: JudgeSpec, ledger: Ledger) -> None:
        self._chat = Chat(spec.endpoint, ledger)

    def reading(self, question: str, options: Sequence[str], response: str) -> Reading | None:
        """What reasoning and answer of a response lead to."""
        return read_faithful(self._ask(ask_faithful(question, options, response)), len(options))

    def adherent(self, instructions: str, response: str) -> bool | None:
        """Whether a response follows its instructions."""
        return read_adherent(self._ask(ask_adherent(instructions, response)))

    def _ask(self, text: str) -> str:
        return self._chat.ask(text, lambda: [{"role": "user", "content": text}]).text


def judge(config: EvalConfig) -> int:
    """Write `judgements.jsonl` and `calibration.json`; the number of responses judged.

    Raises `EndpointError` where no judge answers, before the first response and after
    `failures_in_a_row` of them.
    """
    spec = config.judge
    if spec is None:
        raise EvaluationError("eval.judge: the recipe names no judge; give its endpoint")
    if spec.endpoint.serve is None:
        check_endpoint(spec.endpoint, KEY)
    jobs = list(_jobs(config, spec))
    labels = read_labels(spec.labels)
    with (
        served(spec.endpoint, KEY, config.judge_server, config.out / "judge-server.log"),
        _ledger(config) as ledger,
    ):
        own = Judge(spec, ledger)
        measured = calibrate(labels, _map(lambda label: _of_label(own, label), labels, spec))
        meter = Meter(config.out / "progress.jsonl", "judging")
        rows = _map(lambda job: _of_job(own, job), jobs, spec, meter)
    write_file(config.calibration, json.dumps(measured._asdict(), indent=1))
    judged = [row or _failed(job) for row, job in zip(rows, jobs, strict=True)]
    write_judgements(config.judgements, judged)
    _tell(measured, judged)
    return len(judged)


class _Request(NamedTuple):
    """A response, its question and the instructions that it was given."""

    prediction: Prediction
    question: str
    options: tuple[str, ...]
    instructions: str


def _jobs(config: EvalConfig, spec: JudgeSpec) -> Iterator[_Request]:
    rows = read_predictions(config.predictions)
    for benchmark in spec.benchmarks:
        samples = {sample.id: sample for sample in asked(config, benchmark).samples}
        for row in rows:
            if row.benchmark == benchmark and row.condition == "shown" and row.error is None:
                sample = samples[row.sample_id]
                text = user_text(sample, config.prompt)
                if sample.options:  # its prompts ask which option a response means
                    yield _Request(row, sample.question, sample.options, text)


def _of_job(own: Judge, job: _Request) -> Judgement:
    row, response = job.prediction, job.prediction.response or ""
    return Judgement(
        row.benchmark,
        row.checkpoint,
        row.sample_id,
        own.reading(job.question, job.options, response),
        own.adherent(job.instructions, response),
    )


def _failed(job: _Request) -> Judgement:
    row = job.prediction
    return Judgement(row.benchmark, row.checkpoint, row.sample_id, None, None)


def _of_label(own: Judge, label: Label) -> tuple[Reading | None, bool | None]:
    return (
        own.reading(label.question, label.options, label.response),
        own.adherent(label.instructions, label.response),
    )


Verdict = TypeVar("Verdict")


def _map(
    ask: Callable[[Job], Verdict],
    jobs: Sequence[Job],
    spec: JudgeSpec,
    meter: Callable[[int, int], None] = lambda done, total: None,
) -> list[Verdict | None]:
    """`ask` for every job, in order; None where the judge gave no reply."""
    found: list[Verdict | None] = []
    in_a_row = 0
    with ThreadPoolExecutor(spec.endpoint.concurrency) as pool:
        futures = [pool.submit(ask, job) for job in jobs]
        try:
            for future in futures:
                try:
                    found.append(future.result())
                    in_a_row = 0
                except ChatError as error:
                    found.append(None)
                    in_a_row += 1
                    _stop_if_down(in_a_row, spec, error)
                meter(len(found), len(jobs))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return found


def _stop_if_down(in_a_row: int, spec: JudgeSpec, error: ChatError) -> None:
    if in_a_row >= spec.failures_in_a_row:
        raise EndpointError(
            f"eval.judge: {in_a_row} requests in a row got no answer, the last: {error}; replies "
            "so far are kept: start the server, and run again"
        ) from error


@contextmanager
def _ledger(config: EvalConfig) -> Iterator[Ledger]:
    """The replies of all evaluations; another one that judges now is waited for."""
    config.answers.mkdir(parents=True, exist_ok=True)
    with FileLock(config.answers / "judge.lock"):
        yield Ledger(config.answers / "judge.jsonl")


def _tell(measured: Calibration, judged: Sequence[Judgement]) -> None:
    failed = sum(row.reading is None for row in judged)
    log.info(
        "%d responses judged, %d without a readable verdict; the judge agrees with %d of %d labels",
        len(judged), failed, measured.agreeing, measured.n,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run_command(judge, sys.argv[1:]))
