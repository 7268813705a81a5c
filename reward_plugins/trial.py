"""Try the reward before a model is loaded: what it raises costs a second, not a step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
    """Score a few responses to the first question of each task in verl's parquet.

    What the reward raises propagates, and names the sample.
    """
    import pyarrow.parquet as pq

    columns = ["data_source", "reward_model", "extra_info"]
    rows = pq.read_table(questions, columns=columns).to_pylist()
    for row in _firsts(rows, lambda row: row["data_source"]):
        truth = row["reward_model"]["ground_truth"]
        for response in RESPONSES:
            score(
                data_source=row["data_source"],
                solution_str=response.format(truth),
                ground_truth=truth,
                extra_info={**row["extra_info"], **KNOWN},
            )


def _firsts(rows: list[Any], task: Callable[[Any], str]) -> list[Any]:
    """The first row of each task."""
    firsts: dict[str, Any] = {}
    for row in rows:
        firsts.setdefault(task(row), row)
    return list(firsts.values())


def try_in_easyr1(settings: Mapping[str, Any], questions: Path) -> None:
    """The same of EasyR1's JSON, each question's as a group, by its batch form under `settings`."""
    score = terms.compute_scores if settings.get("terms") else compute_scores
    answers = [row["answer"] for row in json.loads(questions.read_text())]
    for answer in _firsts(answers, lambda answer: json.loads(answer)["task"]):
        truth = json.loads(answer)["answer"]
        filled = [response.format(truth) for response in RESPONSES]
        inputs = [
            {"response": response, "response_length": 1, "ground_truth": answer}
            for response in filled
        ]
        score(inputs, **settings)
