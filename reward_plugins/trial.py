"""Try the reward before a model is loaded: what it raises costs a second, not a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from reward_plugins import terms
from reward_plugins.reward import compute_scores

ANSWER = "<answer>{}</answer>"
RESPONSES = ("", ANSWER, f"<observation>x</observation><think>x</think>{ANSWER}")
"""Nothing, the bare answer, and a whole trace; the right answer goes into the braces."""
KNOWN = {"tokens": 1, "progress": 0.0}
"""What a trainer knows of a response."""


def try_in_verl(score: Callable[..., Any], questions: Path) -> None:
    """Score an empty response to every question in verl's parquet, and more to each task's first.

    What the reward raises, for a truth that its grader can't compare with too, propagates; it names
    the sample and, in a note, the file.
    """
    import pyarrow.parquet as pq

    columns = ["data_source", "reward_model", "extra_info"]
    rows = pq.read_table(questions, columns=columns).to_pylist()
    with _Noting(questions):
        for row, responses in _tries(rows, lambda row: row["data_source"]):
            truth = row["reward_model"]["ground_truth"]
            for response in responses:
                score(
                    data_source=row["data_source"],
                    solution_str=response.format(truth),
                    ground_truth=truth,
                    extra_info={**row["extra_info"], **KNOWN},
                )


def _tries(rows: list[Any], task: Callable[[Any], str]) -> Iterator[tuple[Any, Sequence[str]]]:
    """Every row with the responses to try: all of them on the first of a task."""
    seen: set[str] = set()
    for row in rows:
        yield row, RESPONSES[:1] if task(row) in seen else RESPONSES
        seen.add(task(row))


class _Noting(AbstractContextManager[None]):
    """Adds the file to what is raised within."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            error.add_note(f"while the reward was tried on {self.path}, before training")


def try_in_easyr1(settings: Mapping[str, Any], questions: Path) -> None:
    """The same of EasyR1's JSON, each question's as a group, by its batch form under `settings`."""
    score = terms.compute_scores if settings.get("terms") else compute_scores
    answers = [row["answer"] for row in json.loads(questions.read_text())]
    with _Noting(questions):
        for answer, responses in _tries(answers, lambda answer: json.loads(answer)["task"]):
            truth = json.loads(answer)["answer"]
            filled = [response.format(truth) for response in responses]
            inputs = [
                {"response": response, "response_length": 1, "ground_truth": answer}
                for response in filled
            ]
            score(inputs, **settings)
