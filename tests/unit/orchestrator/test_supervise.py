"""Nothing of a stage outlives it, however it is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

# A trainer that forks twice, leaves its session, and ignores SIGTERM.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
supervise = [sys.executable, "-m", "orchestrator.run.supervise", "lock"]
command = [*supervise, sys.executable, *sys.argv[1:]]
subprocess.Popen(command)
time.sleep(600)
"""


@pytest.fixture
def stubborn(tmp_path: Path) -> tuple[Path, Path]:
    script = tmp_path / "stubborn.py"
    script.write_text(STUBBORN)
    return script, tmp_path / "grandchild.pid"


def wait_for_pid(path: Path) -> int:
    for _ in range(200):
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.05)
    raise TimeoutError(path)


def wait_until_gone(pid: int) -> bool:
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_the_commands(code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator.run.supervise", "lock"]
    done = subprocess.run(
        [*command, sys.executable, "-c", f"raise SystemExit({code})"], cwd=tmp_path
    )
    assert done.returncode == code


def test_a_command_killed_by_a_signal_is_told_apart(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "orchestrator.run.supervise", "lock"]
    kill = "import os; os.kill(os.getpid(), 9)"
    done = subprocess.run([*command, sys.executable, "-c", kill], cwd=tmp_path)
    assert done.returncode == 128 + 9


@pytest.mark.slow
def test_a_double_forked_process_that_ignores_sigterm_dies_with_the_supervisor(
    stubborn: tuple[Path, Path], tmp_path: Path
) -> None:
    script, pid_file = stubborn
    supervisor = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "orchestrator.run.supervise",
            "lock",
            sys.executable,
            str(script),
            str(pid_file),
        ],
        cwd=tmp_path,
    )
    pid = wait_for_pid(pid_file)
    supervisor.terminate()
    assert supervisor.wait(30) == 128 + signal.SIGTERM
    assert wait_until_gone(pid)


@pytest.mark.slow
def test_everything_dies_when_the_worker_is_killed_outright(
    stubborn: tuple[Path, Path], tmp_path: Path
) -> None:
    script, pid_file = stubborn
    worker = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(script), str(pid_file)], cwd=tmp_path
    )
    pid = wait_for_pid(pid_file)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    assert wait_until_gone(pid)
