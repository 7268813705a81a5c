"""Real trainers, killed after their first checkpoint, end with the weights of an unbroken run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.plan.stage import ROOT
from orchestrator.plan.whole import read_listing
from orchestrator.run.attempts import read_attempts
from tests.integration.test_pipeline import SHORT

pytestmark = pytest.mark.slow

OWN = {
    "sft.log_every": "1",
    "stages.rl.start": "base",  # the stage needs no SFT
    "rl.max_steps": "4",
    "rl.save_every": "1",
    "rl.keep_last": "4",
    "rl.reward.function": "tests/integration/probes/length_reward.py:compute_score",
}
OF_THE_MAKING = (
    *("README.md", "_results.json", "trainer_log.jsonl", "trainer_state.json", "training_args.bin"),
    *("metrics", "config.json"),
)
"""Files with times in them, and configurations, which lose their null keys when read again."""


def start(runs: Path, verb: str) -> subprocess.Popen[bytes]:
    short = [given for given in SHORT if given.partition("=")[0] not in OWN]
    own = [f"{key}={value}" for key, value in OWN.items()]
    command = [sys.executable, "-m", "orchestrator", verb, f"runs_dir={runs}", *short, *own]
    with (runs / f"{verb}.out").open("ab") as log:
        return subprocess.Popen(
            [*command, f"data.cache_dir={runs}/frames"], cwd=ROOT, stdout=log, stderr=log
        )


def kill_trainer(module: str, stage: Path) -> None:
    """SIGKILL to the stage's own command, as the kernel would: not to its supervisor."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        own = any(word.startswith(str(stage)) for word in words)
        if own and module in words and "orchestrator.run.supervise" not in words:
            process.kill()


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    while not path.is_file():
        assert process.poll() is None, f"ended before it wrote {path}"
        time.sleep(0.05)


def unbroken_and_set_aside(runs: Path, verb: str) -> tuple[Path, Path]:
    """Run `verb` to its end; where its stage was, and where the unbroken one is now."""
    assert start(runs, verb).wait() == 0, (runs / f"{verb}.out").read_text()[-5000:]
    stage = (runs / "tiny" / verb).resolve()
    return stage, stage.rename(stage.with_name("unbroken"))


def differing(one: Path, other: Path) -> list[str]:
    listed = read_listing(one), read_listing(other)
    names = {name for listing in listed for name in listing}
    same = {name for name in names if listed[0].get(name) == listed[1].get(name)}
    return sorted(n for n in names - same if not any(part in n for part in OF_THE_MAKING))


def test_sft_killed_after_a_checkpoint_ends_with_the_same_weights(tmp_path: Path) -> None:
    stage, unbroken = unbroken_and_set_aside(tmp_path, "sft")
    process = start(tmp_path, "sft")
    wait_for(stage / "checkpoints" / "checkpoint-4" / "trainer_state.json", process)
    kill_trainer("reward_plugins.llamafactory_plugin.launch", stage)
    assert process.wait() == 0, (tmp_path / "sft.out").read_text()[-5000:]
    died, done = read_attempts(stage)
    assert (died.cause, done.resumed_from) == ("signal 9", "checkpoint-4")
    assert differing(stage, unbroken) == []
    assert losses(stage) == losses(unbroken)


def test_rl_killed_with_its_orchestrator_ends_with_the_same_weights(tmp_path: Path) -> None:
    stage, unbroken = unbroken_and_set_aside(tmp_path, "rl")
    assert all(row["data"]["actor/grad_norm"] > 0 for row in history(unbroken))
    process = start(tmp_path, "rl")
    wait_for(stage / "checkpoints" / "global_step_2" / "data.pt", process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert start(tmp_path, "rl").wait() == 0, (tmp_path / "rl.out").read_text()[-5000:]
    lost, done = read_attempts(stage)
    assert lost.outcome == "lost"
    assert done.resumed_from is not None and done.resumed_from in ("global_step_2", "global_step_3")
    assert tensors(stage) == tensors(unbroken)
    assert [name for name in differing(stage, unbroken) if not name.endswith(".pt")] == []
    assert differing_metrics(stage, unbroken) == []


def losses(stage: Path) -> list[tuple[int, float]]:
    return [(row["step"], row["data"]["loss"]) for row in history(stage)]


def history(stage: Path) -> list[dict[str, Any]]:
    lines = (stage / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def differing_metrics(one: Path, other: Path) -> list[str]:
    """Metrics by step that one history lacks, or that differ in any digit; times, memory aside."""
    rows, others = history(one), history(other)
    if [row["step"] for row in rows] != [row["step"] for row in others]:
        return ["step"]
    return [
        f"{name} of step {row['step']}"
        for row, other in zip(rows, others, strict=True)
        for name in sorted({*row["data"], *other["data"]})
        if "timing_" not in name and "perf/" not in name
        if row["data"].get(name) != other["data"].get(name)
    ]


SUMS = """
import hashlib, json, sys; from pathlib import Path; import torch
def flat(value):
    if isinstance(value, dict):
        for key in sorted(value, key=str): yield from flat(value[key])
    elif torch.is_tensor(value):
        yield (value.to_local() if hasattr(value, "to_local") else value).numpy().tobytes()
    else:
        yield repr(value).encode()
for kind in ("model", "optim"):
    for path in sorted(Path(sys.argv[1]).glob(f"checkpoints/*/actor/{kind}_*.pt")):
        parts = b"".join(flat(torch.load(path, weights_only=False)))
        print("/".join(path.parts[-3:]), hashlib.sha256(parts).hexdigest())
"""


def tensors(stage: Path) -> str:
    """A sum of each checkpoint's weights and optimizer: their files also hold names of objects."""
    python = ROOT / ".envs" / "rl" / "bin" / "python"
    listed = subprocess.check_output([str(python), "-c", SUMS, str(stage)], text=True)
    assert listed.count("/model_") >= 2
    return listed
