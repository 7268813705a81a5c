"""Our own stages, killed in place of a rename, or out of disk: nothing is lost."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.outputs import hash_outputs
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.run import store

pytestmark = pytest.mark.slow

# Runs a module as `python -m` does, but gets SIGKILL in place of its n-th rename, if there is one;
# of a negative n behind it, before anything more is synced.
KILLED = """
import os, pathlib, runpy, sys
from multiprocessing import current_process
renames, last = 0, int(sys.argv[1])

def killing(real):
    def rename(*paths, **options):
        global renames
        renames += 1
        if renames == last:
            os.kill(os.getpid(), 9)
        done = real(*paths, **options)
        if renames == -last:
            os.kill(os.getpid(), 9)
        return done
    return rename

os.replace, pathlib.Path.rename = killing(os.replace), killing(pathlib.Path.rename)
sys.argv = sys.argv[2:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
COMMANDS = {"data": 0, "sft": 1, "rl": 1}
"""Which command of a stage is ours, and writes what the next ones read."""


def plan_in(directory: Path) -> Plan:
    clips = [f"data.synthetic.{use}_clips=9" for use in ("sft", "rl", "test")]
    cache = f"data.cache_dir={directory / 'frames'}"
    return make_plan(load_recipe("tiny", [*clips, cache]), directory)


def start(plan: Plan, name: str, rename: int = 0, limit: Callable[[], None] | None = None) -> int:
    """Run the stage's command, with SIGKILL in place of one rename; its exit code."""
    stage = plan.stage(name)
    store.write_files(stage)
    arguments = stage.commands[COMMANDS[name]].argv[1:]
    command = [sys.executable, "-c", KILLED, str(rename), *arguments]
    return subprocess.run(
        command,
        cwd=stage.directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        preexec_fn=limit,
    ).returncode


def contents(plan: Plan, name: str) -> Mapping[str, str]:
    """SHA-256 of what the stage left; paths in it stand for themselves."""
    directory = plan.stage(name).directory
    _, listing = hash_outputs(directory, {Path(file) for file in plan.stage(name).files})
    rows = (line.split("  ", 1) for line in listing.splitlines())
    return {path: digest for digest, path in rows}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    plan = plan_in(tmp_path_factory.mktemp("unbroken"))
    assert [start(plan, name) for name in COMMANDS] == [0, 0, 0]
    return plan


@pytest.fixture
def broken(tmp_path: Path) -> Plan:
    return plan_in(tmp_path)


def test_data_and_exports_are_the_same_whichever_renames_were_their_last(
    broken: Plan, unbroken: Plan
) -> None:
    for name in COMMANDS:
        codes = [start(broken, name, rename) for rename in (1, -1, 2, -3, 4)]
        assert -9 in codes
        assert start(broken, name) == 0
        assert sorted(contents(broken, name)) == sorted(contents(unbroken, name))
    assert contents(broken, "data") == contents(unbroken, "data")


@pytest.mark.parametrize("size", [100, 5_000])
def test_a_full_disk_is_an_error_and_no_half_file_is_taken_for_a_whole(
    broken: Plan, unbroken: Plan, size: int
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    assert start(broken, "data", limit=limit) != 0
    assert start(broken, "data") == 0
    assert contents(broken, "data") == contents(unbroken, "data")
    assert start(broken, "sft", limit=limit) != 0
    assert start(broken, "sft") == 0
    assert sorted(contents(broken, "sft")) == sorted(contents(unbroken, "sft"))


def test_a_manifest_that_does_not_fit_leaves_the_stage_undone(broken: Plan) -> None:
    stage = broken.stage("data")
    store.write_files(stage)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.finish(stage, {"seconds": 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not store.is_done(stage)
    store.finish(stage, {"seconds": 1.0})
    assert store.is_done(stage)
