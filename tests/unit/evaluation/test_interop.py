"""Our questions as lmms-eval and VLMEvalKit read them, and their answers as we do."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import openpyxl
import pytest
import yaml
from eval_fixtures import make_config, response, sample
from PIL import Image

from data_builders import camerabench
from data_builders.decoding import read_all, write_lossless
from data_builders.sample import Sample
from orchestrator.evaluation.collect import collect
from orchestrator.evaluation.config import EvalConfig, EvaluationError, Imported
from orchestrator.evaluation.interop.answers import FAILED, read_answers
from orchestrator.evaluation.interop.export import export
from orchestrator.evaluation.predictions import read_predictions
from orchestrator.evaluation.prepare import prepare, write_frames
from orchestrator.evaluation.questions import asked
from orchestrator.evaluation.score import score

SAMPLES = [sample(n, question=f"Question {n}?") for n in range(6)]
Writer = Callable[[Path, Sequence[Sample], dict[str, str | None]], Path]


@pytest.fixture
def config(tmp_path: Path) -> EvalConfig:
    for clip in {one.clip for one in SAMPLES}:
        frames = np.random.default_rng(ord(clip[0])).integers(0, 256, (2, 28, 28, 3), np.uint8)
        write_lossless(tmp_path / clip, frames, Fraction(2))
    made = make_config(tmp_path, SAMPLES)
    write_frames(made)
    return made


def lmms_eval(folder: Path, samples: Sequence[Sample], given: dict[str, str | None]) -> Path:
    """As lmms-eval logs samples (evaluation_tracker.py:220): no ids, only rows."""
    path = folder / "20261121_samples_camreasoner_held_out.jsonl"
    rows = [
        {"doc_id": n, "target": one.answer, "filtered_resps": [given[one.id]],
         "input": f"{one.question}\nA. Yes", "doc_hash": "x", "accuracy": 1.0}
        for n, one in enumerate(samples) if one.id in given
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lmms_eval_stripped(
    folder: Path, samples: Sequence[Sample], given: dict[str, str | None]
) -> Path:
    """As lmms-eval 0.7.3 logs samples by default: without thinking, and whole beside it."""
    path = lmms_eval(folder, samples, given)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        row["resps"] = row["filtered_resps"]
        row["filtered_resps"] = [
            said and said.replace("<think>t</think>", "") for said in row["resps"]
        ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def vlmevalkit(folder: Path, samples: Sequence[Sample], given: dict[str, str | None]) -> Path:
    """As VLMEvalKit writes predictions: its TSV's columns and one more, in a spreadsheet."""
    path = folder / "Model_camreasoner_held_out.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["index", "id", "question", "A", "B", "answer", "prediction"])
    for number, one in enumerate(samples):
        if one.id in given:
            said = given[one.id] if given[one.id] is not None else FAILED
            book.active.append([number, one.id, one.question, *one.options, one.answer, said])
    book.save(path)
    return path


def camreasoner(folder: Path, samples: Sequence[Sample], given: dict[str, str | None]) -> Path:
    """As CamReasoner's released evaluation writes results (Inference/infer/eval_bench.py:725)."""
    rows = [
        {"problem_id": one.id, "problem": one.question,
         "solution": f"<answer>{one.answer}</answer>",
         "output": "<answer>ERROR</answer>" if given[one.id] is None else given[one.id],
         "prediction": "A", "accuracy": 1.0}
        for one in samples if one.id in given
    ]  # fmt: skip
    path = folder / "qwen.json"
    path.write_text(json.dumps({"results": rows, "metrics": {}, "meta": {}}))
    return path


RESULT = ("problem_id", "problem", "solution", "output")
WRITERS = pytest.mark.parametrize("write", [lmms_eval, lmms_eval_stripped, vlmevalkit, camreasoner])


def test_the_exported_files_hold_every_question_and_its_frames(
    config: EvalConfig, tmp_path: Path
) -> None:
    board = asked(config, "held_out")
    task, table = export(config, [board], tmp_path / "export")
    spec = yaml.load(task.read_text().replace("!function ", ""), yaml.SafeLoader)
    assert spec["task"] == "camreasoner_held_out" and spec["doc_to_visual"] == "utils.doc_to_visual"
    lines = Path(spec["dataset_kwargs"]["data_files"]["test"]).read_text().splitlines()
    documents = [json.loads(line) for line in lines]
    assert [document["id"] for document in documents] == [one.id for one in SAMPLES]
    with table.open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for document, row, one in zip(documents, rows, SAMPLES, strict=True):
        frames, _ = board.frames.load(one.clip)
        assert np.array_equal(read_all(Path(*document["media"])), frames)
        pictures = [np.asarray(Image.open(path)) for path in ast.literal_eval(row["image_path"])]
        assert np.array_equal(np.stack(pictures), frames)
        assert (row["A"], row["B"], row["answer"]) == (*one.options, one.answer)
        assert document["prompt"] == f"{one.question}\nA. Yes\nB. No"


@WRITERS
def test_imported_answers_are_scored_as_our_own(
    config: EvalConfig, tmp_path: Path, write: Writer
) -> None:
    given: dict[str, str | None] = {one.id: response(one.answer) for one in SAMPLES}
    given["s1"], given["s3"] = response("A"), None  # s1 is wrong, s3 was not answered
    del given["s5"]
    path = write(tmp_path, SAMPLES, given)
    theirs = Imported(predictions={"held_out": path})
    config = config.model_copy(update={"checkpoints": {"theirs": theirs}})
    prepare(config)
    collect(config)
    rows = {row.sample_id: row for row in read_predictions(config.predictions)}
    assert {name for name, row in rows.items() if row.error} == {"s3", "s5"}
    overall = score(config)["benchmarks"]["held_out"]["checkpoints"]["theirs"]["shown"]["all"]
    assert (overall["n"], overall["accuracy"], overall["errors"]) == (4, 3 / 4, 2)


@WRITERS
def test_a_file_of_another_benchmark_is_refused(tmp_path: Path, write: Writer) -> None:
    others = [sample(n, question=f"Another {n}?") for n in range(6)]
    path = write(tmp_path, others, {one.id: "A" for one in others})
    with pytest.raises(EvaluationError, match="about another question than 's0'"):
        read_answers(path, SAMPLES)


@WRITERS
def test_a_file_with_other_labels_is_refused(tmp_path: Path, write: Writer) -> None:
    others = [one.model_copy(update={"answer": "B"}) for one in SAMPLES]
    path = write(tmp_path, others, {one.id: "A" for one in others})
    with pytest.raises(EvaluationError, match="it expects 'B'"):
        read_answers(path, SAMPLES)


@WRITERS
def test_a_question_answered_twice_is_refused(tmp_path: Path, write: Writer) -> None:
    path = write(tmp_path, SAMPLES, {one.id: "A" for one in SAMPLES})
    if path.suffix == ".jsonl":
        path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    elif path.suffix == ".json":
        results = json.loads(path.read_text())["results"]
        path.write_text(json.dumps({"results": [*results, results[0]]}))
    else:
        book = openpyxl.load_workbook(path)
        book.active.append([cell.value for cell in book.active[2]])
        book.save(path)
    with pytest.raises(EvaluationError, match="answers 1 questions twice, such as 's0'"):
        read_answers(path, SAMPLES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", "{}\n", r"x\.jsonl, line 1 is no sample of lmms-eval"),
        ("x.jsonl", '{"doc_id": 99, "target": "A", "filtered_resps": ["A"]}\n', "IndexError"),
        ("x.jsonl", '{"doc_id": -1, "target": "A", "filtered_resps": ["A"]}\n', "IndexError"),
        ("x.jsonl", "<html>\n", "line 1 is no sample"),
        ("x.jsonl", "", "holds no predictions"),
        ("x.tsv", "index\tprediction\n1\tA\n", "row 2 has no answer, question"),
        ("x.tsv", "index\tquestion\tanswer\tprediction\n9\tq\tA\tA\n", "no question '9'"),
        ("x.xlsx", "no spreadsheet", "is no spreadsheet"),
        ("x.csv", "a", "predictions come as"),
        ("x.json", "[]", "no results of CamReasoner"),
        ("x.json", '{"results": [{"problem_id": "s0"}]}', "KeyError: 'problem'"),
        (
            "x.json",
            json.dumps({"results": [dict.fromkeys(RESULT, "x")]}),
            "result 1: this benchmark has no question 'x'",
        ),
    ],
)
def test_malformed_files_are_named_with_their_row(
    tmp_path: Path, name: str, content: str, message: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(EvaluationError, match=message):
        read_answers(tmp_path / name, SAMPLES)


def test_answers_to_the_released_questions_are_known_by_their_ids(tmp_path: Path) -> None:
    folder = tmp_path / "binary_classification"
    folder.mkdir()
    rows = [{"image": "a.mp4", "question": "Does it pan?", "label": a} for a in ("Yes", "No")]
    (folder / "Pan_Left.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    samples = camerabench.binary(tmp_path)
    records = json.loads(camerabench.released_json(samples))
    results = [{**record, "output": f"said {n}"} for n, record in enumerate(records)]
    (tmp_path / "CamReasoner_binary.json").write_text(json.dumps({"results": results}))
    answers = read_answers(tmp_path / "CamReasoner_binary.json", samples)
    assert answers == {"Pan_Left_1": "said 0", "Pan_Left_2": "said 1"}
