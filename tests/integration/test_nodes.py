"""Both trainers over two nodes: two of Ray's on this machine, each with a trainer process."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from orchestrator.plan.stage import ROOT

SHORT = [
    "recipe=tiny",
    "data.synthetic.sft_clips=18",
    "data.synthetic.rl_clips=18",
    "data.synthetic.test_clips=9",
    "sft.batch_size_per_device=4",
    "sft.max_steps=4",
    "sft.save_every=4",
    "sft.log_every=1",
    "stages.rl.start=sft:step:4",
    "rl.max_steps=2",
    "rl.prompts_per_step=4",
    "rl.minibatch_prompts=4",
    "rl.microbatch_responses=16",
    "rl.logprob_microbatch_responses=16",
    "rl.save_every=2",
    "cluster.nodes=2",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The run directory after SFT and RL over two nodes."""
    runs, cluster = tmp_path_factory.mktemp("runs"), Cluster()
    for _ in range(2):
        cluster.add_node(num_cpus=16, num_gpus=1, object_store_memory=200_000_000)
    command = [sys.executable, "-m", "orchestrator", "rl", f"runs_dir={runs}", *SHORT]
    command += [f"data.cache_dir={runs}/frames", f"cluster.address={cluster.address}"]
    environ = {**os.environ, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    try:
        done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    finally:
        cluster.shutdown()
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    yield runs / "tiny"


def test_sft_takes_the_batches_of_both_nodes(run: Path) -> None:
    """36 samples in batches of 4 on each of two nodes are 5 steps an epoch, not 9."""
    (last,) = (run / "sft" / "checkpoints").glob("checkpoint-4")
    state = json.loads((last / "trainer_state.json").read_text())
    assert state["epoch"] == pytest.approx(4 / 5)


def test_sft_has_one_log_and_one_checkpoint_of_the_first_node(run: Path) -> None:
    checkpoints = run / "sft" / "checkpoints"
    rows = [json.loads(r) for r in (checkpoints / "trainer_log.jsonl").read_text().splitlines()]
    assert [row["current_steps"] for row in rows if "loss" in row] == [1, 2, 3, 4]
    assert len(list(checkpoints.glob("checkpoint-*/model*.safetensors"))) == 1
    assert (run / "sft" / "logs" / "node1").is_dir()


def test_rl_reinforced_the_checkpoint_over_both_nodes(run: Path) -> None:
    rows = [json.loads(line) for line in (run / "rl" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(row["data"]["training/rollout_probs_diff_max"] < 1e-3 for row in rows)
    actor = run / "rl" / "checkpoints" / "global_step_2" / "actor"
    assert len(list(actor.glob("model_world_size_2_rank_*.pt"))) == 2


def test_the_shards_of_both_nodes_are_merged(run: Path) -> None:
    assert (run / "rl" / "last" / "config.json").is_file()
