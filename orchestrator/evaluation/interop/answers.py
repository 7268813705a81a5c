"""Answers that lmms-eval or VLMEvalKit wrote, matched to our questions.

lmms-eval (evaluation_tracker.py:220) writes a JSON object a line, with `doc_id`, the row of the
question in the exported file, `target`, `filtered_resps`, which by default lost what stood in
`<think>`, and then also `resps`, the whole response. VLMEvalKit (inference_video.py:290)
writes the rows of its TSV with a column `prediction`, as xlsx or TSV; so do ShotBench's and
RefineShot's own scripts. CamReasoner's released evaluation (Inference/infer/eval_bench.py:617)
writes one JSON object, whose `results` are its question file's rows, each with an `output`.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_builders.sample import Sample
from orchestrator.evaluation.config import EvaluationError

FAILED = "Failed to obtain answer via API."
"""VLMEvalKit's mark of a request without an answer (vlmeval/smp/file.py, INFER_FAIL_MSG)."""


UNANSWERED = "<answer>ERROR</answer>"
"""The released evaluation's mark of a batch that its engine lost (eval_bench.py:719)."""


class Given(NamedTuple):
    """What a file says about one question."""

    where: str
    """Row of the file, for messages."""
    sample: Sample
    response: str | None
    """None where the harness got no answer."""


def read_answers(path: Path, samples: Sequence[Sample]) -> dict[str, str | None]:
    """Responses in `path` by sample id; None where the harness got none.

    `samples` are all questions of the benchmark, in its order. Questions that the file lacks are
    not in the result. Raises `EvaluationError` for a file that can't be read, answers a question
    twice, or was written for another benchmark.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no predictions at {path}")
    read = {".jsonl": _of_lmms_eval, ".json": _of_camreasoner}.get(path.suffix, _of_table)
    rows = list(read(path, samples))
    counts = Counter(given.sample.id for given in rows)
    if doubled := [name for name, count in counts.items() if count > 1]:
        raise EvaluationError(
            f"{path} answers {len(doubled)} questions twice, such as {doubled[0]!r}: which of the "
            "answers counts can't be known; remove the others"
        )
    if not rows:
        raise EvaluationError(f"{path} holds no predictions")
    return {given.sample.id: given.response for given in rows}


def _of_lmms_eval(path: Path, samples: Sequence[Sample]) -> Iterator[Given]:
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
            place, target, filtered = row["doc_id"], row["target"], row["filtered_resps"]
            answer = _first(row.get("resps", filtered))
            sample = samples[place] if place >= 0 else samples[len(samples)]
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise EvaluationError(
                f"{where} is no sample of lmms-eval about this benchmark "
                f"({type(error).__name__}: {error})"
            ) from error
        _check(where, sample, target, str(row.get("input", sample.question)))
        yield Given(where, sample, _text(answer))


def _of_camreasoner(path: Path, samples: Sequence[Sample]) -> Iterator[Given]:
    by_id = {sample.id: sample for sample in samples}
    try:
        results = json.loads(path.read_bytes())["results"]
        rows = [(row.get("id", row["problem_id"]), row) for row in results]
        said = [(str(n), row["problem"], row["solution"], row["output"]) for n, row in rows]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise EvaluationError(
            f"{path} holds no results of CamReasoner's evaluation ({type(error).__name__}: {error})"
        ) from error
    for number, (name, question, solution, output) in enumerate(said, start=1):
        where = f"{path}, result {number}"
        if name not in by_id:
            raise EvaluationError(f"{where}: this benchmark has no question {name!r}")
        truth = str(solution).removeprefix("<answer>").removesuffix("</answer>")
        _check(where, by_id[name], truth, str(question))
        yield Given(where, by_id[name], None if output == UNANSWERED else _text(output))


def _first(answer: Any) -> Any:
    """Of the samples of a response, which lmms-eval nests by requests."""
    return _first(answer[0]) if isinstance(answer, list) else answer


def _of_table(path: Path, samples: Sequence[Sample]) -> Iterator[Given]:
    by_id = {sample.id: sample for sample in samples}
    by_number = {sample.id.rpartition("_")[2]: sample for sample in samples}
    for number, row in enumerate(_rows(path), start=2):
        where = f"{path}, row {number}"
        if missing := {"index", "question", "answer", "prediction"} - set(row):
            raise EvaluationError(
                f"{where} has no {', '.join(sorted(missing))}: these are no predictions of "
                f"VLMEvalKit (columns: {', '.join(map(str, row))})"
            )
        name = str(row["id"]) if "id" in row else str(row["index"])
        sample = by_id.get(name) or by_number.get(name)
        if sample is None:
            raise EvaluationError(f"{where}: this benchmark has no question {name!r}")
        _check(where, sample, row["answer"], str(row["question"]))
        yield Given(where, sample, _text(row["prediction"]))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".xlsx":
        from zipfile import BadZipFile

        from openpyxl import load_workbook

        try:
            lines = load_workbook(path, read_only=True).active.iter_rows(values_only=True)
        except (BadZipFile, OSError, KeyError, ValueError) as error:
            raise EvaluationError(f"{path} is no spreadsheet: {error}") from error
    elif path.suffix == ".tsv":
        csv.field_size_limit(2**24)
        lines = csv.reader(path.read_text().splitlines(keepends=True), delimiter="\t")
    else:
        raise EvaluationError(f"{path}: predictions come as .jsonl, .xlsx or .tsv")
    header = [str(name) for name in next(iter(lines), ())]
    for line in lines:
        yield dict(zip(header, line, strict=False))


def _check(where: str, sample: Sample, answer: object, question: str) -> None:
    """The file's own idea of the question must be ours: positions and numbers fit any benchmark."""
    if str(answer).strip() != sample.truth or sample.question.strip() not in question:
        raise EvaluationError(
            f"{where} is about another question than {sample.id!r}: it expects {answer!r} of "
            f"{question[:80]!r}, we {sample.truth!r} of {sample.question[:80]!r}; is this file of "
            "another benchmark, or of another version of it?"
        )


def _text(answer: object) -> str | None:
    if answer is None or answer == FAILED or answer != answer:  # nan, an empty cell of pandas
        return None
    return str(answer)
