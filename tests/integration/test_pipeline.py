"""The whole pipeline, short, through both real trainers: what `make demo` does in minutes."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from orchestrator.envs import interpreter
from orchestrator.plan.stage import ROOT
from orchestrator.plan.whole import read_listing
from tests.unit.orchestrator.test_kill_matrix import KILLED

SHORT = [
    "recipe=tiny",
    "data.synthetic.sft_clips=36",
    "data.synthetic.rl_clips=36",
    "data.synthetic.test_clips=18",
    "sft.max_steps=8",
    "sft.save_every=4",
    "stages.rl.start=sft:step:4",
    "rl.max_steps=3",
    "rl.prompts_per_step=8",
    "rl.minibatch_prompts=8",
    "rl.microbatch_responses=64",
    "rl.logprob_microbatch_responses=64",
    "rl.save_every=2",
    "rl.filter.enabled=false",
]


SECRETS = {
    "HF_TOKEN": "hf_PlantedTokenOfHuggingFace0123456789",
    "WANDB_API_KEY": "fedcba9876543210fedcba9876543210fedcba98",
    "OPENAI_API_KEY": "sk-proj-planted0123456789abcdefghijkl",
}


def orchestrate(runs: Path, verb: str, *overrides: str) -> str:
    """Run one verb to its end, and return what it printed; beside it, what ran meanwhile."""
    command = [sys.executable, "-m", "orchestrator", verb, f"runs_dir={runs}"]
    process = subprocess.Popen(
        [*command, f"data.cache_dir={runs}/frames", *SHORT, *overrides],
        cwd=ROOT,
        env={**os.environ, **SECRETS},
        stdout=(runs / f"{verb}.out").open("w"),
        stderr=subprocess.STDOUT,
    )
    seen: set[str] = set()
    while True:
        try:
            process.wait(timeout=0.5)
            break
        except subprocess.TimeoutExpired:
            running = psutil.process_iter(["cmdline"])
            seen |= {" ".join(process.info["cmdline"] or ()) for process in running}
    (runs / f"{verb}.processes").write_text("\n".join(sorted(seen)))
    output = (runs / f"{verb}.out").read_text()
    assert process.returncode == 0, output[-8000:]
    return output


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    orchestrate(runs, "run")
    yield runs / "tiny"


def metrics(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text().splitlines()]
    return [row["data"] for row in rows]


def test_every_stage_leaves_a_manifest(run: Path) -> None:
    for stage in ("data", "model", "sft", "rl", "eval", "report"):
        assert json.loads((run / stage / "manifest.json").read_text())["seconds"] > 0


def test_planted_secrets_are_nowhere(run: Path) -> None:
    orchestrate(run.parent, "plan")
    listed = (run.parent / "run.processes").read_text()
    assert "llamafactory_plugin.launch" in listed and "verl_plugin.train" in listed
    found = subprocess.run(
        ["grep", "-rlaF", *(f"-e{secret}" for secret in SECRETS.values()), str(run.parent)],
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stdout) == (1, "")


def test_sft_saved_the_checkpoint_that_rl_started_from(run: Path) -> None:
    train = json.loads((run / "rl" / "train.json").read_text())
    assert train["overrides"]["actor_rollout_ref.model.path"].endswith("/step-4")
    assert (run / "sft" / "step-4" / "model.safetensors").is_file()


def test_rollout_and_actor_agree_on_every_log_probability(run: Path) -> None:
    rows = metrics(run)
    assert len(rows) == 3
    assert all(row["training/rollout_probs_diff_max"] < 1e-3 for row in rows)


def test_the_std_of_each_task_is_logged_every_step(run: Path) -> None:
    for row in metrics(run):
        names = {name for name in row if name.startswith("ema_grpo/std/")}
        assert names == {"ema_grpo/std/binary", "ema_grpo/std/multiple_choice"}


def test_the_checkpoint_holds_the_ema_state(run: Path) -> None:
    (state,) = (run / "rl" / "checkpoints").glob("global_step_3/ema_grpo.json")
    assert set(json.loads(state.read_text())["tasks"]) == {"binary", "multiple_choice"}


def test_the_merged_checkpoint_is_a_whole_model_in_the_asked_type(run: Path) -> None:
    merged = run / "rl" / "last"
    assert merged.readlink() == Path("step-3") and (run / "rl" / "step-2").is_dir()
    assert json.loads((merged / "config.json").read_text())["dtype"] == "float32"
    assert {"tokenizer.json", "chat_template.jinja"} <= {path.name for path in merged.iterdir()}


def test_every_checkpoint_answered_every_question_and_its_swapped_control(run: Path) -> None:
    rows = pq.read_table(run / "eval" / "predictions.parquet").to_pylist()
    questions = pq.read_table(run / "data" / "test.parquet").num_rows
    for name in ("base", "sft:step:4", "rl"):
        for condition in ("shown", "swapped"):
            mine = [r for r in rows if r["checkpoint"] == name and r["condition"] == condition]
            assert len(mine) == questions
    assert len({row["model"] for row in rows}) == 3


def test_the_report_is_a_page_with_the_scores(run: Path) -> None:
    page = (run / "report" / "report.html").read_text()
    scores = json.loads((run / "eval" / "scores.json").read_text())
    assert f"{scores['benchmarks']['held_out']['n']:,}" in page
    assert (run / "report" / "report.md").is_file()


def test_a_run_is_rebuilt_from_its_manifest_to_the_last_file(run: Path) -> None:
    alone = run.parent / "alone"
    alone.mkdir()
    (alone / "recipe.json").write_text((run / "recipe.json").read_text())
    (alone / "data").symlink_to(os.readlink(run / "data"))
    command = [sys.executable, "-m", "orchestrator", "repro", "run=alone", f"runs_dir={run.parent}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    files = json.loads((run / "data" / "manifest.json").read_text())["outputs"]["files"]
    assert f"data: {files} of {files} files equal" in done.stdout, done.stdout + done.stderr


def test_a_merge_is_checked_and_its_check_recorded(run: Path) -> None:
    checks = json.loads((run / "rl" / "manifest.json").read_text())["metrics"]["merge"]
    assert checks.keys() == {"step-2", "step-3"}
    for check in checks.values():
        assert check["written_in"] == "float32" and check["weights_differing"] == 0
        assert check["logprob_largest_difference"] == 0


@pytest.mark.parametrize("name", ["report", "eval"])  # a report tells the others' times
def test_a_stage_whose_commands_die_in_place_of_a_rename_ends_the_same(
    run: Path, name: str
) -> None:
    stage = (run / name).resolve()
    whole = stage.rename(stage.with_name("whole"))
    stage.mkdir()
    manifest = json.loads((whole / "manifest.json").read_text())
    for file, text in manifest["files"].items():
        (stage / file).write_text(text)
    codes = [
        started(command, stage, rename) for command in manifest["commands"] for rename in (1, 0)
    ]
    assert -9 in codes and set(codes[1::2]) == {0}
    orchestrate(run.parent, name)
    assert read_listing(stage) == read_listing(whole)


def started(command: dict[str, Any], stage: Path, rename: int) -> int:
    """Run a stage's command with SIGKILL in place of its n-th rename; its exit code."""
    python, (_, *arguments) = interpreter(command["environment"]), command["argv"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **command["environ"]}
    killed = [str(python), "-c", KILLED, str(rename), *arguments]
    return subprocess.run(killed, cwd=stage, env=environ).returncode


def test_a_second_run_reuses_every_stage(run: Path) -> None:
    output = orchestrate(run.parent, "run")
    assert len(re.findall("reused", output)) == 6
    assert "▶" not in output


def test_a_reward_of_ones_own_trains_in_real_verl(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "talkative.py"
    file.write_text(
        "def score(data_source, solution_str, ground_truth, extra_info=None, *, gain, **others):\n"
        "    said = gain * len(solution_str)\n"
        "    return {'score': said, 'format': 0.0, 'accuracy': 0.0, 'letters': len(solution_str)}\n"
    )
    own = [f"rl.reward.function={file}:score", "rl.reward.arguments={gain: 0.01}", "name=own"]
    orchestrate(run.parent, "rl", *own)
    for row in metrics(run.parent / "own"):
        assert row["reward/letters"] > 0
        assert row["reward/score"] == pytest.approx(0.01 * row["reward/letters"])
        assert row["critic/score/mean"] == pytest.approx(row["reward/score"])
    lines = (run.parent / "own" / "rl" / "rollouts" / "1.jsonl").read_text().splitlines()
    responses = [json.loads(line) for line in lines]
    assert len({round(said["score"], 4) for said in responses}) > 1
    assert all(said["score"] == pytest.approx(0.01 * len(said["output"])) for said in responses)
    again = orchestrate(run.parent, "status", *own)
    assert "rl  done" in again and file.read_text() in (run.parent / "own/rl/reward.py").read_text()


def test_a_reward_that_raises_on_some_responses_stops_training_with_sample_and_cause(
    run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "raises.py"
    file.write_text(
        "from reward_plugins import compute_score\n"
        "def score(*, solution_str, **others):\n"
        "    if len(solution_str) % 3 == 1:\n"
        "        raise ZeroDivisionError('my reward')\n"
        "    return compute_score(solution_str=solution_str, **others)\n"
    )
    with pytest.raises(AssertionError):
        orchestrate(run.parent, "rl", f"rl.reward.function={file}:score", "name=raises")
    output = (run.parent / "rl.out").read_text()
    assert "ZeroDivisionError: my reward" in output
    assert "a response to sample 'synthetic/rl/0" in output


def test_another_lambda_makes_only_rl_and_what_follows_stale(run: Path) -> None:
    output = orchestrate(run.parent, "status", "rl.reward.format_weight=0.3")
    assert [line.split()[1] for line in output.splitlines() if "done" in line] == [
        "data",
        "model",
        "sft",
    ]
    assert "rl  stale" in output


def evaluated(run: Path, checkpoint: str, sample: str) -> str:
    """The response that the evaluation got."""
    rows = pq.read_table(run / "eval" / "predictions.parquet").to_pylist()
    wanted = (checkpoint, "shown", sample)
    keys = ("checkpoint", "condition", "sample_id")
    (found,) = [row["response"] for row in rows if tuple(row[key] for key in keys) == wanted]
    return str(found)


def test_predict_answers_as_the_evaluation_did(run: Path) -> None:
    held_out = pq.read_table(run / "data" / "test.parquet").to_pylist()
    sample = next(row for row in held_out if row["task"] == "multiple_choice")
    expected = evaluated(run, "rl", sample["id"])
    clip = str(run / "data" / sample["media"][0]["path"])
    command = [sys.executable, "-m", "orchestrator", "predict", f"clip={clip}"]
    options = [f"question={sample['question']}", f"options={json.dumps(sample['options'])}"]
    options += [f"runs_dir={run.parent}", "json=true"]
    options += ["model=tiny"]  # a test before may have trained another, newer one
    said = json.loads(subprocess.check_output([*command, *options], cwd=ROOT, text=True))
    assert said["model"] == "tiny/rl" and len(said["frames"]["times"]) == 8
    assert said["answers"][0]["response"] == expected


def test_predict_without_a_question_fills_a_motion_card_for_a_folder(
    run: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    clip = next((run / "data").glob("clips/*/test_*.mp4"))
    (folder / "clip.mp4").write_bytes(clip.read_bytes())
    (folder / "bad.mp4").write_text("no video")
    command = [sys.executable, "-m", "orchestrator", "predict", f"clip={folder}"]
    options = [f"runs_dir={run.parent}", f"out={tmp_path / 'answers.parquet'}"]
    subprocess.run([*command, *options], cwd=ROOT, check=True)
    bad, *card = pq.read_table(tmp_path / "answers.parquet").to_pylist()
    assert bad["clip"] == "bad.mp4" and "InvalidDataError" in bad["problem"]
    assert len(card) == 9 and all(row["response"] and not row["problem"] for row in card)


def test_the_page_asks_every_checkpoint_of_the_run(run: Path) -> None:
    sample = pq.read_table(run / "data" / "test.parquet").to_pylist()[0]
    command = [sys.executable, "-m", "orchestrator", "serve", "port=0", "model=tiny"]
    serving = subprocess.Popen(
        [*command, f"runs_dir={run.parent}"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert serving.stdout is not None
        address = next(line.split()[0] for line in serving.stdout if line.startswith("http://"))

        def post(path: str, content: bytes, kind: str) -> dict[str, Any]:
            headers = {"Content-Type": kind, "X-Name": "clip.mp4"}
            request = urllib.request.Request(address + path, content, headers)
            with urllib.request.urlopen(request) as answer:
                return dict(json.load(answer))

        content = (run / "data" / sample["media"][0]["path"]).read_bytes()
        clip = post("clips", content, "application/octet-stream")
        assert len(clip["frames"]) == len(clip["times"]) == 8
        for checkpoint in ("base", "sft:step:4", "rl"):
            keys = {"question": sample["question"], "options": sample["options"]}
            body = {"checkpoint": checkpoint, "clip": clip["clip"], **keys}
            found = post("ask", json.dumps(body).encode(), "application/json")
            expected = evaluated(run, checkpoint, sample["id"])
            assert found["answers"][0]["response"] == expected
    finally:
        serving.send_signal(signal.SIGINT)
        assert serving.wait() == 0
