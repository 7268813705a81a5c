"""lmms-eval's own task loader and model class run what we export, as a stage of a recipe."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.envs import is_ready
from orchestrator.evaluation.config import EvalConfig
from orchestrator.evaluation.interop.answers import read_answers
from orchestrator.evaluation.questions import asked
from orchestrator.plan.stage import ROOT
from orchestrator.report.pages import write_pages
from orchestrator.report.sources import read_run

pytestmark = pytest.mark.skipif(
    not is_ready("lmms"),
    reason="no environment lmms: orchestrator setup recipe=tiny eval.external=[vsibench]",
)
RECIPE = [
    "recipe=tiny",
    "data.synthetic.sft_clips=9",
    "data.synthetic.rl_clips=9",
    "data.synthetic.test_clips=9",
    "eval.checkpoints=[base]",
    "eval.max_new_tokens=16",
    "eval.max_questions=6",
    "eval.swap_control=false",
]
TASK = "camreasoner_held_out"


def orchestrate(verb: str, runs: Path, *overrides: str) -> None:
    command = [sys.executable, "-m", "orchestrator", verb, f"runs_dir={runs}", *RECIPE]
    command += [f"data.cache_dir={runs}/frames", f"data.download_dir={runs}/downloads", *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run evaluated by us and, on the same questions, by lmms-eval."""
    runs = tmp_path_factory.mktemp("runs")
    orchestrate("export", runs)
    tasks = runs / "tiny" / "export" / "lmms_eval"
    orchestrate("eval", runs, f"eval.external=[{TASK}]", f"eval.external_path={tasks}")
    return runs / "tiny"


def test_its_scores_stand_beside_ours(run: Path) -> None:
    found: dict[str, Any] = json.loads((run / "eval" / "scores.json").read_text())
    page = write_pages(read_run(run), run.parent / "page")
    [measured] = found["external"]["base"][TASK]
    assert measured["metric"] == "accuracy" and measured["n"] == 6
    assert f"<th>{TASK}: accuracy</th>" in page.read_text()


def test_its_samples_are_answers_to_our_questions(run: Path) -> None:
    config = EvalConfig.model_validate_json((run / "eval" / "eval.json").read_text())
    [file] = (run / "external").rglob(f"*_samples_{TASK}.jsonl")
    samples = asked(config, "held_out").samples
    given = read_answers(file, samples)
    assert given.keys() == {sample.id for sample in samples} and all(given.values())
