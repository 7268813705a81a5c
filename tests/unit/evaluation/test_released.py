"""The released model and its authors' answers are rows of the tables, without any training."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from data_builders.blob import git_blob_sha1
from data_builders.models import ModelConfig
from orchestrator.evaluation import benchmarks
from orchestrator.evaluation.benchmarks import BenchmarksConfig, build
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe

sys.path.append(str(ROOT / "tests" / "unit" / "data_builders"))
from fake_github import FakeGitHub

COMMIT = "8b7118833c44b6b49ce9bb9a7ff27cad2945c828"
FILES = {
    "camerabench_binary": "Inference/results/CamReasoner_binary.json",
    "camerabench_vqa_as_released": "Inference/results/CamReasoner_vqa.json",
}


def planned(tmp_path: Path, *overrides: str) -> Plan:
    given = (f"data.download_dir={tmp_path}/downloads", *overrides)
    return make_plan(load_recipe("camreasoner_7b_released", given), tmp_path)


def told(plan: Plan, stage: str, file: str) -> dict[str, object]:
    one = plan.stage(stage)
    body: dict[str, object] = json.loads(one.files[str(one.directory / file)])
    return body


def test_evaluating_them_needs_no_training_and_no_training_data(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert [stage.name for stage in plan.until("eval")] == ["benchmarks", "eval"]
    model, answers = told(plan, "eval", "eval.json")["checkpoints"]  # type: ignore[misc]
    folder = plan.stage("benchmarks").directory
    assert model == ["camreasoner_7b", f"{folder}/models/LaurentWu--CamReasoner-7B"]
    assert set(answers[1]["predictions"]) == set(FILES)  # type: ignore[index]


def test_a_model_is_fetched_whichever_questions_it_answers(tmp_path: Path) -> None:
    overrides = ["eval.checkpoints=[]", "eval.models={m: {path: a/b}}"]
    plan = make_plan(load_recipe("camreasoner_7b", overrides), tmp_path)
    assert [stage.name for stage in plan.until("eval")] == ["data", "benchmarks", "eval"]


def test_the_answers_come_from_their_authors_by_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {file: json.dumps({"results": [{"problem_id": file}]}) for file in FILES.values()}
    files = {file: text.encode() for file, text in contents.items()}
    overrides = [
        f"eval.models.camreasoner_7b_answers.predictions.{name}.blob={git_blob_sha1(files[file])}"
        for name, file in FILES.items()
    ]
    plan = planned(tmp_path, *overrides)
    config = BenchmarksConfig.model_validate(told(plan, "benchmarks", "benchmarks.json"))
    config = config.model_copy(update={"benchmarks": ()})
    obtained: list[ModelConfig] = []
    monkeypatch.setattr(benchmarks, "obtain", lambda model, meter: obtained.append(model))
    with FakeGitHub("wuhang03/CamReasoner", COMMIT, files) as github:
        monkeypatch.setenv("GITHUB_API_URL", github.url)
        monkeypatch.setenv("GITHUB_SERVER_URL", github.url)
        build(config)
    assert [(model.path, model.revision) for model in obtained] == [
        ("LaurentWu/CamReasoner-7B", "main")
    ]
    _, answers = told(plan, "eval", "eval.json")["checkpoints"]  # type: ignore[misc]
    for name, path in answers[1]["predictions"].items():  # type: ignore[index]
        assert Path(path).read_bytes() == files[FILES[name]]


def test_the_base_model_and_its_commit_are_of_one_fingerprint(tmp_path: Path) -> None:
    def fingerprint(*overrides: str) -> str:
        return (
            make_plan(load_recipe("camreasoner_7b", overrides), tmp_path).stage("model").fingerprint
        )

    assert fingerprint() != fingerprint("model.revision=main")
    assert fingerprint() == fingerprint("model.revision=cc594898137f460bfe9f0759e9844b3ce807cfb5")
