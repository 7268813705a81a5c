"""Attempts, their causes of death, and the overrides named against them."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import RunLockedError
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.run import store
from orchestrator.run.attempts import FILE, Attempts, read_attempts
from orchestrator.run.deaths import RAY, Death, explain
from orchestrator.run.launch import why_stop
from reward_plugins.rows import RowError
from tests.unit.orchestrator.finished import with_values


def test_an_attempt_whose_orchestrator_was_killed_is_told(tmp_path: Path) -> None:
    log = Attempts(tmp_path).start(None)
    log.write_text("so far")
    again = Attempts(tmp_path)
    assert again.start(tmp_path / "checkpoint-4") == log.with_name("attempt_2.log")
    again.end("done")
    lost, done = read_attempts(tmp_path)
    assert (lost.outcome, lost.ended) == ("lost", log.stat().st_mtime)
    assert (done.outcome, done.resumed_from) == ("done", "checkpoint-4")


@pytest.mark.parametrize("harm", [b"\xff\n", b"{}\n", b"[]\n", b'{"log": 1, "x": 2}\n'])
def test_a_damaged_note_says_what_to_do(tmp_path: Path, harm: bytes) -> None:
    Attempts(tmp_path).start(None)
    with (tmp_path / FILE).open("ab") as file:
        file.write(harm)
    with pytest.raises(RowError, match=f"{FILE}, line 2 is damaged: remove that line"):
        Attempts(tmp_path)


def test_logs_of_a_run_without_notes_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("attempt_7.log", "attempt_mine.log", "attempt_9 (copy).log"):
        (tmp_path / "logs" / name).touch()
    assert Attempts(tmp_path).start(None).name == "attempt_8.log"


GPU = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."


@pytest.mark.parametrize(
    ("stage", "code", "kills", "tail", "cause", "advice"),
    [
        ("sft", 1, 0, GPU, "exit code 1: out of GPU memory", "sft.max_length=8192"),
        ("rl", 1, 0, GPU, "exit code 1: out of GPU memory", "utilization=0.4"),
        ("eval", 1, 0, GPU, "exit code 1: out of GPU memory", "eval.batch_size=64"),
        ("rl", 137, 1, "", "signal 9: out of host memory", "data.workers=8"),
        ("rl", 1, 0, "Worker killed due to memory pressure", "out of host memory", "data.workers"),
        ("sft", 137, 0, "", "signal 9", None),
        ("rl", 1, 0, "No available memory for the cache blocks", "vLLM", "gpu_memory_utilization"),
        ("sft", 1, 0, "OSError: [Errno 28] No space left on device", "disk is full", "keep_last"),
        ("rl", 1, 0, "RuntimeError: basic_ios::clear: iostream error", "disk is full", "keep_last"),
        ("sft", 1, 0, "KeyError: 'x'", "exit code 1", None),
    ],
)
def test_a_death_for_want_of_memory_is_answered_with_an_override(
    stage: str, code: int, kills: int, tail: str, cause: str, advice: str | None
) -> None:
    found, overrides, mendable = explain(
        load_recipe("camreasoner_7b"), stage, code, kills, tail, 2**30
    )
    assert cause in found
    assert (advice is None) == (overrides == ())
    assert advice is None or advice in " ".join(overrides)
    assert mendable == ("disk" not in cause)


def test_a_log_cut_short_by_a_full_disk_is_not_needed_to_know_it() -> None:
    found, overrides, mendable = explain(load_recipe("tiny"), "rl", 1, 0, "  Fil", 4096)
    assert "the disk is full" in found and "free space" in overrides[0] and not mendable


def test_every_override_named_against_a_death_is_a_valid_one() -> None:
    recipe = load_recipe("tiny")
    for stage in ("sft", "rl", "eval"):
        _, overrides, _ = explain(recipe, stage, 1, 0, GPU, 2**30)
        assert overrides
        for override in overrides:
            load_recipe("tiny", override.partition(",")[0].split())


def test_ray_lost_twice_is_not_the_stage_dying_twice_at_one_place() -> None:
    lost, died = Death(RAY, moved=True, cause="gone"), Death("x after step 3", True, "signal 9")
    assert why_stop([lost, lost], 3) is None
    assert why_stop([died, lost, died], 4) is None
    assert why_stop([died, died], 3) == "it died there twice"
    assert why_stop([lost, lost, lost], 3) == "recovery.max_attempts is 3"


HOLDER = """
import sys, time; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.unit.orchestrator.test_attempts import held
from tests.unit.orchestrator.finished import with_values
with held(Path(sys.argv[2])):
    print("held", flush=True)
    time.sleep(600)
"""


def held(directory: Path):  # type: ignore[no-untyped-def]
    stage = make_plan(load_recipe("tiny"), directory).stage("data")
    return store.owned(with_values(stage, directory=directory / "stage"))


def test_a_second_process_is_told_who_owns_the_run_and_a_killed_one_owns_nothing(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", HOLDER, str(ROOT), str(tmp_path)]
    holder = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    owner = f"by process {holder.pid} on {socket.gethostname()};"
    with pytest.raises(RunLockedError, match=owner), held(tmp_path):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    with held(tmp_path):
        assert (tmp_path / "stage" / ".owner").read_text().startswith(f"process {os.getpid()} ")
