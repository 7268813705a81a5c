"""The Slurm script against stand-ins for srun and scontrol, and a real Ray of two nodes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator.plan.stage import ROOT

SCRIPT = ROOT / "examples" / "slurm" / "camreasoner.sbatch"
SCONTROL = """#!/bin/sh
[ "$*" = "show hostnames node-[1-2]" ] || exit 64
printf 'node-1\\nnode-2\\n'
"""
SRUN = """#!/bin/bash
# Like srun: what follows the options runs on the named node, here always this machine.
echo "$*" >> "$CALLS"
while [ "${1#--}" != "$1" ]; do shift; done
exec "$@"
"""


def submit(tmp_path: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the script as Slurm would on the first of two nodes of one CPU slot each."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        program = tmp_path / name
        program.write_text(text)
        program.chmod(0o755)
    return subprocess.run(
        ["bash", str(SCRIPT), *arguments],
        cwd=tmp_path,
        env={
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "HOME": str(tmp_path),  # for Ray's token
            "CALLS": str(tmp_path / "calls"),
            "SLURM_SUBMIT_DIR": str(ROOT),
            "SLURM_JOB_NODELIST": "node-[1-2]",
            "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_CPUS_PER_TASK": "2",
            "SLURM_GPUS_ON_NODE": "1",
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_a_recipe_runs_on_the_nodes_of_the_job(tmp_path: Path) -> None:
    few = [f"data.synthetic.{use}_clips=9" for use in ("sft", "rl", "test")]
    done = submit(tmp_path, "data", "recipe=tiny", f"runs_dir={tmp_path}/runs", *few)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "runs" / "tiny" / "data" / "manifest.json").is_file()
    calls = (tmp_path / "calls").read_text().splitlines()  # made side by side
    calls.sort(key=lambda call: call.split("--nodelist=")[1])
    assert [call.split("--nodelist=")[1].split()[0] for call in calls] == ["node-1", "node-2"]
    head, worker = (call.split("node.sh ")[1].split() for call in calls)
    assert head == ["--num-cpus=2", "--num-gpus=1"]
    assert worker[1:] == head and worker[0].endswith(f":{20000 + os.getpid() % 10000}")


def test_a_misspelt_recipe_ends_the_job_with_its_error(tmp_path: Path) -> None:
    """The stand-in starts no Ray: what waits for it is told so, too."""
    waiter = tmp_path / "project" / "examples" / "ray"
    waiter.mkdir(parents=True)
    (waiter / "wait_for_nodes.py").write_text("")
    (waiter / "node.sh").symlink_to(shutil.which("true") or "/bin/true")
    (tmp_path / "project" / ".venv").symlink_to(ROOT / ".venv")
    done = submit(tmp_path, "run", "recipe=tinny", SLURM_SUBMIT_DIR=str(tmp_path / "project"))
    assert done.returncode == 1
    assert "no such recipe; did you mean tiny?" in done.stderr


def test_nodes_that_do_not_come_end_the_job(tmp_path: Path) -> None:
    waiter = ROOT / "examples" / "ray" / "wait_for_nodes.py"
    command = [sys.executable, str(waiter), "127.0.0.1:1", "2", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "127.0.0.1:1 has 0 of 2 nodes after 0.5 s" in done.stderr


def test_what_slurm_reads_of_the_script() -> None:
    options = dict(
        line.removeprefix("#SBATCH --").split("=", 1)
        for line in SCRIPT.read_text().splitlines()
        if line.startswith("#SBATCH ")
    )
    recipe = yaml.safe_load((ROOT / "recipes/experiment/camreasoner_7b.yaml").read_text())
    assert options["ntasks-per-node"] == "1"
    assert int(options["gpus-per-node"]) == recipe["cluster"]["gpus_per_node"]
    assert int(options["cpus-per-task"]) >= recipe["cluster"]["cpus_per_stage"]


@pytest.mark.parametrize("script", ["slurm/camreasoner.sbatch", "ray/node.sh"])
def test_the_scripts_are_shell(script: str) -> None:
    path = str(ROOT / "examples" / script)
    checks = [["bash", "-n", path]]
    if shutil.which("shellcheck"):
        checks.append(["shellcheck", path])
    for command in checks:
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
