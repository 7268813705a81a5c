"""`rl.reward.function`: a file of a user's own, checked before the start, kept with the stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.errors import RecipeError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import Stage
from orchestrator.recipe import load_recipe
from reward_plugins import compute_scores
from reward_plugins.own import OwnCodeError
from reward_plugins.terms import compute_score

ALL = "ALL = {'score': 0.0, 'format': True, 'accuracy': 0}\n"
EXAMPLE = "examples/rewards/length_window.py:compute_score"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        "def score(data_source, solution_str, ground_truth, extra_info, *, gain, **settings):\n"
        "    return {'score': gain, 'format': settings['format_weight'], 'accuracy': 0.0}\n"
        "def broken(data_source, solution_str, ground_truth, extra_info=None, **settings):\n"
        "    return 1.0\n"
    )
    return path


def rl_stage(tmp_path: Path, *overrides: str) -> Stage:
    return make_plan(load_recipe("tiny", overrides), tmp_path).stage("rl")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("mine.py", "is not path/to/file.py:function"),
        ("nowhere/mine.py:score", "no file"),
        ("README.md:score", "is not path/to/file.py:function"),
        ("{own}:scores", "defines no 'scores'; it has score, broken"),
        ("{text}:score", "is no Python"),
        ("{neighbour}:score", "imports .helper, but belongs to no package; leave out the dots"),
        ("{other}:unnamed", "'unnamed' takes no data_source, solution_str, extra_info, which come"),
        ("{other}:score", "'score' takes no data_source, solution_str, extra_info, which come by"),
    ],
)
def test_a_function_that_is_not_there_is_a_mistake_of_the_recipe(
    reference: str, said: str, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.py").write_text("no python at all")
    (tmp_path / "other.py").write_text(
        "def score(task, response, ground_truth): ...\n"
        "def unnamed(task, response, ground_truth, **rest): ...\n"
    )
    (tmp_path / "helper.py").touch()
    neighbour = "import json\nfrom .helper import bonus\ndef score(**given): ...\n"
    (tmp_path / "neighbour.py").write_text(neighbour)
    names = ("text", "other", "neighbour")
    given = reference.format(own=own, **{name: tmp_path / f"{name}.py" for name in names})
    with pytest.raises(RecipeError, match=r"rl\.reward\.function: ") as caught:
        load_recipe("tiny", [f"rl.reward.function='{given}'"])
    assert said in str(caught.value)


def test_arguments_need_a_function_and_names_of_their_own(own: Path) -> None:
    with pytest.raises(RecipeError, match=r"rl\.reward\.arguments: are those of"):
        load_recipe("tiny", ["rl.reward.arguments={gain: 1}"])
    with pytest.raises(RecipeError, match="format_weight, tags already says the recipe"):
        arguments = "rl.reward.arguments={format_weight: 1, tags: [x]}"
        load_recipe("tiny", [f"rl.reward.function='{own}:score'", arguments])


@pytest.mark.parametrize("trainer", ["verl", "easyr1"])
def test_a_change_of_the_file_makes_rl_stale_and_nothing_before_it(
    trainer: str, own: Path, tmp_path: Path
) -> None:
    def fingerprints() -> dict[str, str]:
        given = [f"rl.trainer={trainer}", f"rl.reward.function='{own}:score'"]
        recipe = load_recipe("tiny", [*given, "rl.reward.arguments={gain: 2}"])
        return {stage.name: stage.fingerprint for stage in make_plan(recipe, tmp_path).stages}

    before = fingerprints()
    own.write_text(own.read_text() + "# only a comment\n")
    assert fingerprints() == before
    own.write_text(own.read_text() + "CHANGED = 1\n")
    after = fingerprints()
    changed = [name for name in before if before[name] != after[name]]
    assert changed[0] == "rl" and {"data", "model", "sft"}.isdisjoint(changed)


def test_verl_gets_the_stages_copy_and_every_setting(own: Path, tmp_path: Path) -> None:
    override = "rl.reward.arguments={gain: 2, table: {near: 0.5}}"
    stage = rl_stage(tmp_path, f"rl.reward.function='{own}:score'", override)
    copy = stage.directory / "reward.py"
    assert stage.files[str(copy)] == own.read_text()
    given = json.loads(stage.files[str(stage.directory / "train.json")])["overrides"]
    key = "reward.custom_reward_function"
    assert given[f"{key}.path"] == "pkg://reward_plugins.terms"
    arguments = {
        "function": f"{copy}:score",
        "gain": 2,
        "table.near": 0.5,
        "format_weight": 0.1,
        "tags": ["observation", "think", "answer"],
    }
    assert all(given[f"+{key}.reward_kwargs.{name}"] == v for name, v in arguments.items())


def test_easyr1_scores_by_the_file_through_its_own_batch_call(own: Path, tmp_path: Path) -> None:
    given = ["rl.trainer=easyr1", "rl.reward.arguments={gain: 2}"]
    stage = rl_stage(tmp_path, *given, f"rl.reward.function='{own}:score'")
    (stage.directory).mkdir(parents=True)
    (stage.directory / "reward.py").write_text(stage.files[str(stage.directory / "reward.py")])
    reward = json.loads(stage.files[str(stage.directory / "train.json")])["easyr1"]["worker"][
        "reward"
    ]
    scores = compute_scores(
        [{"response": "x", "ground_truth": '{"answer": "A", "task": "t"}'}],
        **reward["reward_function_kwargs"],
    )
    assert scores == [{"overall": 2, "format": 0.1, "accuracy": 0.0}]


def test_a_function_that_returns_something_else_is_named(own: Path) -> None:
    with pytest.raises(OwnCodeError, match="no function 'nothing'"):
        compute_scores([{"response": "x", "ground_truth": "A"}], function=f"{own}:nothing")


@pytest.mark.parametrize("returned", ["1.0", "{'score': 1.0}", "{**ALL, 'score': float('nan')}"])
def test_what_is_no_reward_is_refused_with_its_sample(returned: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(f"{ALL}def score(**given): return {returned}\n")
    with pytest.raises(OwnCodeError, match="not finite numbers for score, format") as caught:
        compute_score("t", "x", "A", {"sample_id": "s7"}, function=f"{path}:score")
    assert caught.value.__notes__ == ["while a response to sample 's7' was scored"]


@pytest.mark.parametrize("sort", ["def", "async def"])
def test_numbers_of_numpy_go_on_and_words_do_not(sort: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    words = "'reason': None, 'said': 'x', 'list': [1, 2]"
    more = f"{{**ALL, 'score': np.float32(0.5), 'passed': np.bool_(True), {words}}}"
    path.write_text(f"import numpy as np\n{ALL}{sort} score(**given): return {more}\n")
    scores = compute_score("t", "x", "A", function=f"{path}:score")
    assert scores == {"score": 0.5, "format": 1.0, "accuracy": 0.0, "passed": 1.0}
    assert {type(value) for value in scores.values()} == {float}


@pytest.mark.parametrize("trainer", ["verl", "easyr1"])
def test_a_file_may_import_its_neighbours(trainer: str, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "reward.py").write_text(
        "import neighbouring\nfrom neighbouring_parts import ONE\n"
        "def score(data_source, solution_str, ground_truth, extra_info, **settings):\n"
        "    return {'score': neighbouring.bonus(ONE), 'format': 0.0, 'accuracy': 0.0}\n"
    )
    (folder / "neighbouring.py").write_text("def bonus(x):\n    return x + 0.5\n")
    (folder / "neighbouring_parts").mkdir()
    (folder / "neighbouring_parts" / "__init__.py").write_text("ONE = 1\n")
    own = [f"rl.reward.function='{folder}/reward.py:score'", f"rl.trainer={trainer}"]
    stage = rl_stage(tmp_path / "runs", *own)
    for name, text in stage.files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    copy = f"{stage.directory}/reward/reward.py:score"
    assert copy in stage.files[str(stage.directory / "train.json")]
    assert compute_score("t", "x", "y", function=copy) == {
        "score": 1.5, "format": 0.0, "accuracy": 0.0}  # fmt: skip
    (folder / "neighbouring.py").write_text("def bonus(x):\n    return x + 0.75\n")
    assert rl_stage(tmp_path / "runs", *own).fingerprint != stage.fingerprint
