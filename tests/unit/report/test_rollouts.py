"""Sampled responses over time: few, spread, and those that teach."""

from __future__ import annotations

import json
from pathlib import Path

from orchestrator.report.pages import write_report
from orchestrator.report.rollouts import choose_rollouts
from orchestrator.report.sources import Run


def write(path: Path, groups: list[list[float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "input": f"prompt {g} <b>",
            "output": f"response {g}.{n}",
            "gts": "A",
            "score": score,
            "step": int(path.stem),
            "uid": f"{int(path.stem):06d}-{g:06d}_{n}_0",
        }
        for g, scores in enumerate(groups)
        for n, score in enumerate(scores)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"input": "torn')


def test_a_few_steps_from_first_to_last_each_with_a_group_that_differs(tmp_path: Path) -> None:
    for step in range(1, 31):
        write(tmp_path / f"rollouts/{step}.jsonl", [[1.0, 1.0], [0.1, 1.0, 0.0]])
    [training] = Run({"stages": {"rl": {"kind": "rl"}}}, {"rl": tmp_path}).training
    files = training.rollouts
    groups = choose_rollouts(files, steps=4)
    assert [group.step for group in groups] == [1, 11, 20, 30]
    assert groups[0].prompt == "prompt 1 <b>" and groups[0].mean == 1.1 / 3
    assert [(r.response, r.score) for r in groups[0].rollouts] == [
        ("response 1.1", 1.0),
        ("response 1.2", 0.0),
    ]
    assert len(choose_rollouts({1: files[1]}, steps=4)) == 1


def test_a_step_without_differences_shows_one_response(tmp_path: Path) -> None:
    write(tmp_path / "3.jsonl", [[0.5, 0.5]])
    [group] = choose_rollouts({3: tmp_path / "3.jsonl"})
    assert [r.response for r in group.rollouts] == ["response 0.0"]
    assert choose_rollouts({}) == []


def test_the_page_shows_them(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"name": "new", "stages": {"rl": {"kind": "rl"}}}')
    write(tmp_path / "rl/rollouts/7.jsonl", [[0.0, 1.0]])
    page = write_report(tmp_path).read_text()
    assert "Step 7" in page and "prompt 0 &lt;b&gt;" in page and "response 0.1" in page
