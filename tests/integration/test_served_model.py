"""A real checkpoint behind a real server scores as it does in the evaluation's own process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestrator.envs import interpreter
from orchestrator.stage import ROOT

RECIPE = [
    "recipe=tiny",
    "model.build.initializer_range=0.3",  # so that a random model's answers differ
    "data.synthetic.sft_clips=9",
    "data.synthetic.rl_clips=9",
    "data.synthetic.test_clips=18",
    "eval.max_new_tokens=24",
    "eval.swap_control=false",
]
COSTS = {"seconds", "prompt_tokens", "dollars"}


def evaluate(runs: Path, *overrides: str) -> str:
    command = [sys.executable, "-m", "orchestrator", "eval", f"runs_dir={runs}", *RECIPE]
    command += [f"data.cache_dir={runs}/frames", f"data.download_dir={runs}/downloads", *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose base model is evaluated in process."""
    runs = tmp_path_factory.mktemp("runs")
    evaluate(runs, "eval.checkpoints=[base]")
    return runs


@pytest.fixture(scope="module")
def url(runs: Path) -> Iterator[str]:
    command = [str(interpreter("eval")), "tests/integration/probes/serve.py"]
    with subprocess.Popen(
        [*command, str(runs / "tiny" / "model" / "checkpoint")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdin and server.stdout
        yield server.stdout.readline().strip()
        server.stdin.close()


def served(url: str, *overrides: str) -> list[str]:
    return ["eval.checkpoints=[base]", f"eval.models={{served:{{base_url:'{url}',model:tiny}}}}",
            *overrides]  # fmt: skip


def predictions(runs: Path, checkpoint: str) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(runs / "tiny" / "eval" / "predictions.parquet").to_pylist()
    return {row["sample_id"]: row for row in rows if row["checkpoint"] == checkpoint}


def scores(runs: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((runs / "tiny" / "eval" / "scores.json").read_text())
    return found["benchmarks"]["held_out"]["checkpoints"]


def test_a_served_model_scores_as_the_same_model_here(runs: Path, url: str) -> None:
    evaluate(runs, *served(url))
    here, there = predictions(runs, "base"), predictions(runs, "served")
    assert len(here) == 36 and len({row["response"] for row in here.values()}) > 10
    for sample, own in here.items():
        assert there[sample]["error"] is None and there[sample]["response"] == own["response"]
        assert there[sample]["prompt_tokens"] > 0 and there[sample]["tokens"] == own["tokens"]
    for name, group in scores(runs)["base"]["shown"].items():
        same = scores(runs)["served"]["shown"][name]
        assert {k: v for k, v in group.items() if k not in COSTS | {"ranking", "macro_ap"}} == {
            k: v for k, v in same.items() if k not in COSTS | {"ranking", "macro_ap"}
        }


def test_its_probabilities_are_the_same_among_the_likeliest(runs: Path, url: str) -> None:
    """A server tells the 20 likeliest tokens; of 600, a random model's options are often others."""
    evaluate(runs, *served(url, "eval.server.top_logprobs=600"))
    here, there = predictions(runs, "base"), predictions(runs, "served")
    for sample, own in here.items():
        assert there[sample]["probabilities"] == pytest.approx(own["probabilities"], rel=1e-3)
    ours, theirs = (scores(runs)[name]["shown"]["all"]["ranking"] for name in ("base", "served"))
    assert ours["n"] == 18 and theirs == pytest.approx(ours)


def test_it_is_known_by_its_directory_and_its_words(runs: Path, url: str) -> None:
    told = json.loads((runs / "tiny" / "eval" / "served.json").read_text())["served"]
    root = (runs / "tiny" / "model").resolve() / "checkpoint"
    assert Path(told["listed"]["root"]).resolve() == root and told["probe"]


def test_pictures_are_answered_too_but_otherwise(runs: Path, url: str) -> None:
    """To the model eight pictures are not a clip: other tokens, other times."""
    evaluate(runs, *served(url, "eval.server.media=images"))
    here, there = predictions(runs, "base"), predictions(runs, "served")
    assert not any(row["error"] for row in there.values()) and there.keys() == here.keys()
    assert any(there[sample]["response"] != own["response"] for sample, own in here.items())
