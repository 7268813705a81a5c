"""Which checkpoint is meant, and what is said when there is none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from orchestrator.ask.checkpoints import find, of_run
from orchestrator.ask.errors import AskError


def merge(run: Path) -> Path:
    """What RL leaves at its end: each checkpoint, and `last`, a link to the newest."""
    path = run / "rl" / "step-30"
    path.mkdir(parents=True)
    (run / "rl" / "last").symlink_to(path.name)
    (path / "config.json").write_text("{}")
    return path


def test_the_newest_merged_checkpoint_is_asked_or_else_the_newest_of_sft(run: Path) -> None:
    assert find(None, None, run.parent).name == "tiny/sft:step:600"
    merge(run)
    assert find(None, None, run.parent).name == "tiny/rl"
    other = run.with_name("other")
    other.mkdir()
    (other / "recipe.json").write_text((run / "recipe.json").read_text())
    os.utime(merge(other), (2e9, 2e9))
    assert find(None, None, run.parent).name == "other/rl"


def test_a_run_or_one_of_its_checkpoints_can_be_named(run: Path) -> None:
    assert list(of_run(run)) == ["base", "sft:step:600"]
    assert find("tiny", None, run.parent).path == (run / "sft" / "step-600").resolve()
    assert find("tiny/base", None, run.parent).path == (run / "model" / "checkpoint").resolve()
    assert find("tiny/sft:step:200", None, run.parent).path.name == "step-200"
    with pytest.raises(AskError, match="has base, sft:step:600; train it first"):
        find("tiny/rl", None, run.parent)
    merge(run)
    step = (run / "rl" / "step-30").resolve()
    assert {find(f"tiny/{name}", None, run.parent).path for name in ("rl", "rl:step:30")} == {step}
    with pytest.raises(AskError, match=r"is no policy: base \| <stage>\[:last\|epoch:N\|step:N\]"):
        find("tiny/rl:newest", None, run.parent)


def test_a_directory_has_the_recipe_of_the_run_that_made_it(run: Path, tmp_path: Path) -> None:
    found = find(str(run / "sft" / "step-200"), None, run.parent)
    assert (found.path.name, found.recipe.name) == ("step-200", "tiny")
    elsewhere = (run / "sft" / "step-200").rename(tmp_path / "moved")
    with pytest.raises(AskError, match="recipe="):
        find(str(elsewhere), None, run.parent)
    assert (
        find(str(elsewhere), "camreasoner_7b", run.parent).recipe.eval_frames.max_pixels == 262144
    )


def test_a_directory_without_a_model_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(AskError, match=r"under .*runs \(tiny\)"):
        find("nowhere", None, run.parent)
    with pytest.raises(AskError, match=r"no config\.json"):
        find(str(tmp_path), None, run.parent)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(AskError, match="no weights"):
        find(str(tmp_path), None, run.parent)


def test_without_any_run_it_is_said_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(AskError, match="make demo"):
        find(None, None, tmp_path)


def test_a_recipe_of_another_version_is_named_with_its_key(run: Path) -> None:
    (run / "recipe.json").write_text('{"name": "tiny"}')
    with pytest.raises(AskError, match="prompt: Field required"):
        find("tiny", None, run.parent)


def test_keys_that_asking_does_not_need_may_be_of_any_version(run: Path) -> None:
    recipe = json.loads((run / "recipe.json").read_text())
    del recipe["sft"], recipe["rl"]["reward"]
    (run / "recipe.json").write_text(json.dumps(recipe | {"later": 1}))
    assert find("tiny", None, run.parent).recipe.eval_frames.max_frames == 8
