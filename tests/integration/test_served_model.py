"""A real checkpoint behind a real server scores as it does in the evaluation's own process."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from orchestrator.envs import interpreter
from orchestrator.plan.stage import ROOT
from orchestrator.report.pages import write_pages
from orchestrator.report.sources import read_run

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
RANKED = {"ranking", "macro_ap"}
REFUSED = "refused"


def evaluate(runs: Path, *overrides: str) -> str:
    command = [sys.executable, "-m", "orchestrator", "eval", f"runs_dir={runs}", *RECIPE]
    command += [f"data.cache_dir={runs}/frames", f"data.download_dir={runs}/downloads", *overrides]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return " ".join(done.stdout.split())


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
        [*command, str(runs / "tiny" / "model" / "checkpoint"), str(runs / REFUSED)],
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
    """All likeliest tokens are asked for: a random model's options are seldom among the first.

    Of an option that takes several tokens a server tells nothing: it counts 0 there.
    """
    evaluate(runs, *served(url, "eval.server.top_logprobs=600"))
    here, there = predictions(runs, "base"), predictions(runs, "served")
    assert len(here) == 36 and len({row["response"] for row in here.values()}) > 10
    for sample, own in here.items():
        assert there[sample]["error"] is None and there[sample]["response"] == own["response"]
        assert there[sample]["prompt_tokens"] > 0 and there[sample]["tokens"] == own["tokens"]
    chances = [
        pair
        for sample, own in here.items()
        for pair in zip(own["probabilities"], there[sample]["probabilities"], strict=True)
    ]
    told = [(ours, theirs) for ours, theirs in chances if theirs]
    assert len(told) > len(chances) / 2
    assert all(theirs == pytest.approx(ours, rel=1e-3) for ours, theirs in told)
    for name, group in scores(runs)["base"]["shown"].items():
        same = scores(runs)["served"]["shown"][name]
        assert {key for key in group if group[key] != same[key]} <= {*COSTS, *RANKED}
    told = scores(runs)["served"]["served"]
    root = (runs / "tiny" / "model").resolve() / "checkpoint"
    assert Path(told["listed"]["root"]).resolve() == root and told["probe"]


def test_pictures_are_answered_otherwise_and_errors_are_asked_again(runs: Path, url: str) -> None:
    """To the model eight pictures are not a clip: other tokens, other times."""
    pictures = served(url, "eval.server.media=images", "eval.server.attempts=1")
    (runs / REFUSED).write_text("pan to the left")
    said = evaluate(runs, *pictures)
    failed = [row for row in predictions(runs, "served").values() if row["error"]]
    lacking = f"served has no answer to {len(failed)} of 36 questions"
    assert 0 < len(failed) < 36 and lacking in said
    (runs / REFUSED).unlink()
    assert f"eval again: {lacking}" in evaluate(runs, *pictures)
    here, there = predictions(runs, "base"), predictions(runs, "served")
    assert not any(row["error"] for row in there.values()) and there.keys() == here.keys()
    assert any(there[sample]["response"] != own["response"] for sample, own in here.items())


@pytest.fixture(scope="module")
def text_model(runs: Path) -> Path:
    command = [str(interpreter("eval")), "tests/integration/probes/text_model.py"]
    checkpoint = runs / "tiny" / "model" / "checkpoint"
    subprocess.run([*command, str(checkpoint), str(runs / "judge")], cwd=ROOT, check=True)
    return runs / "judge"


@pytest.mark.parametrize("serve", ["null", "[]"])
def test_a_real_judge_that_makes_no_sense_fails_in_every_count(
    runs: Path, url: str, text_model: Path, serve: str
) -> None:
    """A random model: behind a server that runs, and one that the stage starts and ends itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    model, where = ("tiny", url) if serve == "null" else (text_model, own)
    endpoint = f"{{model:{model},base_url:'{where}',serve:{serve},temperature:0,max_tokens:4}}"
    judge = f"eval.judge={{endpoint:{endpoint},benchmarks:[held_out]}}"
    evaluate(runs, "eval.checkpoints=[base]", judge)
    found = json.loads((runs / "tiny" / "eval" / "scores.json").read_text())
    shown = found["benchmarks"]["held_out"]["checkpoints"]["base"]["shown"]["all"]
    assert shown["faithfulness"] is None and shown["adherence"] is None
    assert (shown["judge"]["asked"], shown["judge"]["failed"]) == (36, 36)
    assert found["judge"]["agreeing"] == 0 and found["judge"]["failed"] == 2 * found["judge"]["n"]
    page = write_pages(read_run(runs / "tiny"), runs / "page").read_text()
    assert "36 got no verdict" in page
    assert f"The judge on {found['judge']['n']} labelled responses: both letters right in 0" in page
