"""Every question with its frames and everyone's answer, in files that the page reads by the page.

`<benchmark>/index.js` says of each question its category, task and verdicts, enough to filter by;
`<benchmark>/<n>.js` hold the texts of `CHUNK` questions each. They are scripts and not JSON so that
a page opened from a disk may read them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from data_builders.frames import FrameIndex
from data_builders.sample import Sample
from orchestrator.evaluation.scoring import Scored
from orchestrator.report.strips import Strip, draw_strips
from reward_plugins.files import write_file
from reward_plugins.ota import parse

CHUNK = 50
"""Questions a file."""
RIGHT, WRONG, FAILED = "1", "0", "e"


class Question(NamedTuple):
    """A question, a verdict a checkpoint, and where each one's answer is (None: it failed)."""

    sample: Sample
    verdicts: str
    places: tuple[int | None, ...]


def write_examples(
    benchmark: str,
    answers: Mapping[str, Scored],
    index: FrameIndex,
    tags: tuple[str, ...],
    out: Path,
) -> int:
    """Write the files of one benchmark into `out`, and return the number of questions."""
    questions = order(answers)
    strips = draw_strips(index, (i.name for q in questions for i in q.sample.media), out / "frames")
    folder = out / benchmark
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(questions), CHUNK)):
        texts = [_texts(q, answers, strips, tags) for q in questions[start : start + CHUNK]]
        _write(folder / f"{number}.js", "chunk", benchmark, number, texts)
    _write(folder / "index.js", "index", benchmark, _index(questions, list(answers)))
    return len(questions)


def order(answers: Mapping[str, Scored]) -> list[Question]:
    """Every question that some checkpoint answered.

    They take turns over the patterns of verdicts (wrong then right, right throughout, ...) and,
    within a pattern, over categories: what training changed comes first, and among that what the
    last checkpoint gets right.
    """
    by_pattern: dict[str, dict[str, list[Question]]] = defaultdict(lambda: defaultdict(list))
    for question in _questions(answers):
        by_pattern[question.verdicts][question.sample.category].append(question)
    patterns = sorted(
        by_pattern, key=lambda p: (len(set(p)) == 1, [sign != RIGHT for sign in reversed(p)])
    )
    return _take_turns([_take_turns(list(by_pattern[p].values())) for p in patterns])


def _questions(answers: Mapping[str, Scored]) -> list[Question]:
    places = [
        {sample.id: place for place, sample in enumerate(scored.samples)}
        for scored in answers.values()
    ]
    samples = {sample.id: sample for scored in answers.values() for sample in scored.samples}
    found = []
    for name, sample in samples.items():
        own = tuple(of.get(name) for of in places)
        verdicts = "".join(map(_verdict, answers.values(), own))
        found.append(Question(sample, verdicts, own))
    return found


def _verdict(scored: Scored, place: int | None) -> str:
    if place is None:
        return FAILED
    return RIGHT if scored.scores[place] == 1 else WRONG


def _take_turns(queues: Sequence[Sequence[Question]]) -> list[Question]:
    turns = sorted(
        (turn, number) for number, queue in enumerate(queues) for turn in range(len(queue))
    )
    return [queues[number][turn] for turn, number in turns]


def _index(questions: Sequence[Question], checkpoints: list[str]) -> dict[str, Any]:
    categories = sorted({q.sample.category for q in questions})
    tasks = sorted({q.sample.task for q in questions})
    return {
        "checkpoints": checkpoints,
        "chunk": CHUNK,
        "categories": categories,
        "tasks": tasks,
        "category": [categories.index(q.sample.category) for q in questions],
        "task": [tasks.index(q.sample.task) for q in questions],
        "verdicts": [q.verdicts for q in questions],
    }


def _texts(
    question: Question,
    answers: Mapping[str, Scored],
    strips: Mapping[str, Strip],
    tags: tuple[str, ...],
) -> dict[str, Any]:
    sample = question.sample
    return {
        "id": sample.id,
        "clip": sample.clip,
        "strips": [strips[item.name] for item in sample.media if item.name in strips],
        "question": sample.question,
        "options": sample.options,
        "answer": sample.truth,
        "answers": [
            None if place is None else _answer(scored, place, tags)
            for scored, place in zip(answers.values(), question.places, strict=True)
        ],
    }


def _answer(scored: Scored, place: int, tags: tuple[str, ...]) -> dict[str, Any]:
    response = scored.predictions[place].response or ""
    trace = parse(response, tags)
    said = {"response": response} if trace is None else {"blocks": trace.blocks}
    return {"letter": scored.letters[place], "tokens": scored.predictions[place].tokens, **said}


def _write(path: Path, function: str, *arguments: object) -> None:
    """A script that calls `report.<function>`; JSON in ASCII is JavaScript."""
    text = ",".join(json.dumps(argument, separators=(",", ":")) for argument in arguments)
    write_file(path, f"report.{function}({text});\n")
