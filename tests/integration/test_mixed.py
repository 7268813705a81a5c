"""Rows of all kinds, in one batch, through the whole pipeline with both real trainers."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_builders.sample import read_samples
from orchestrator.plan.stage import ROOT
from tests.integration.test_pipeline import SHORT

pytestmark = pytest.mark.slow

OWN = {
    "data.sources": "[synthetic,examples/sources/all_kinds.py:all_kinds]",
    **{f"data.synthetic.{use}_clips": "9" for use in ("sft", "rl", "test")},
    "frames.image_max_pixels": "6272",
    "rl.max_steps": "2",
    "rl.microbatch_responses": "8",  # of one group: it shows one kind, or nothing
    "rl.logprob_microbatch_responses": "64",  # of all groups
    "rl.save_every": "2",
}


def test_images_videos_both_and_texts_train_together(tmp_path: Path) -> None:
    short = [given for given in SHORT if given.partition("=")[0] not in OWN]
    own = [f"{key}={value}" for key, value in OWN.items()]
    places = [f"runs_dir={tmp_path}", f"data.cache_dir={tmp_path}/frames"]
    command = [sys.executable, "-m", "orchestrator", "run", *places, *short, *own]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    run = tmp_path / "tiny"
    for use in ("sft", "rl", "test"):
        samples = read_samples(run / "data" / f"{use}.parquet")
        kinds = {" ".join(item.kind for item in sample.media) for sample in samples}
        assert kinds == {"video", "image image", "image", "image video", ""}
    for line in (run / "rl" / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)["data"]
        assert row["training/rollout_probs_diff_max"] < 1e-5  # rollout and update see the same
    answers = pq.read_table(run / "eval" / "predictions.parquet").to_pylist()
    assert {row["checkpoint"] for row in answers} == {"base", "sft:step:4", "rl"}
    assert {row["condition"] for row in answers} == {"shown", "swapped"}
    assert not any(row["error"] for row in answers)
