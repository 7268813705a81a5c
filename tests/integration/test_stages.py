"""SFT, SFT, RL, sampling, SFT on what was sampled, RL: one chain through the real trainers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_builders.sample import read_samples
from orchestrator.plan.stage import ROOT

pytestmark = pytest.mark.slow

CHAIN = [
    "recipe=tiny",
    "name=chain",
    "data.synthetic.sft_clips=120",
    "data.synthetic.rl_clips=18",
    "data.synthetic.test_clips=9",
    "stages.sft=null",
    "stages.rl=null",
    "+stages.perceive={kind: sft, max_steps: 4, save_every: 4}",
    "+stages.understand={kind: sft}",
    "+stages.reason={kind: rl, start: 'understand:step:100'}",
    "+stages.reflect={kind: sample}",
    "+stages.again={kind: sft, questions: reflect, max_steps: 4, save_every: 2}",
    "+stages.last={kind: rl, start: 'again:step:2', group_size: 4}",
    "sft.max_steps=100",
    "sft.save_every=50",
    "sft.log_every=2",
    "rl.max_steps=1",
    "rl.prompts_per_step=4",
    "rl.minibatch_prompts=4",
    "rl.microbatch_responses=16",
    "rl.logprob_microbatch_responses=16",
    "sample.responses=4",
    "sample.keep=best",
    "eval.max_questions=6",
    "eval.swap_control=false",
]


def test_a_chain_of_six_stages_runs_from_the_base_to_the_report(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator", "run", f"runs_dir={tmp_path}", *CHAIN]
    environ = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        [*command, f"data.cache_dir={tmp_path}/frames"],
        cwd=ROOT, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    run = tmp_path / "chain"
    counts = json.loads((run / "reflect" / "kept.json").read_text())
    kept = read_samples(run / "reflect" / "questions.parquet")
    assert counts["responses"] == 4 * counts["questions"] and counts["kept"] == len(kept) > 0
    assert all(sample.think and sample.observation for sample in kept)
    taught = json.loads((run / "again" / "data" / "sft.json").read_text())
    assert len(taught) == len(kept)
    start = json.loads((run / "last" / "train.json").read_text())["overrides"]
    assert start["actor_rollout_ref.model.path"] == str((run / "again").resolve() / "step-2")
    rows = pq.read_table(run / "eval" / "predictions.parquet").to_pylist()
    policies = {row["checkpoint"]: row["model"] for row in rows}
    assert list(dict.fromkeys(policies)) == [
        *("base", "perceive", "understand:step:100", "reason", "again:step:2", "last")
    ]
    assert len(set(policies.values())) == 6
    page = (run / "report" / "report.html").read_text()
    for stage in ("perceive", "understand", "reason", "again", "last"):
        assert f'alt="{stage} curves"' in page
    command[3] = "status"
    again = subprocess.run(
        [*command, f"data.cache_dir={tmp_path}/frames"],
        cwd=ROOT, env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert again.stdout.count("done, fingerprint") == 10
