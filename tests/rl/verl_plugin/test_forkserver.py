"""A forked worker is the process it was asked to be, and none outlives those who need it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reward_plugins.verl_plugin.cpu import forkserver
from reward_plugins.verl_plugin.train import FORK_SERVER

NOBODY = 65534
SERVE = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("forkserver", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.PRELOADED = ("csv",)
module.Server(module._address()).run()
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "RAY_RAYLET_PID": str(tmp_path)}  # an address of this test's own


@pytest.fixture
def server(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-P", "-c", SERVE, str(FORK_SERVER)]
    with subprocess.Popen(command, env=environment) as process:
        time.sleep(0.5)
        yield process
        process.kill()


@pytest.fixture
def worker(
    environment: dict[str, str], server: object, tmp_path: Path
) -> Callable[..., subprocess.Popen[str]]:
    def start(code: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(code)
        return subprocess.Popen(
            [sys.executable, "-P", "-S", str(FORK_SERVER), str(script), *arguments],
            env=environment | env,
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )

    return start


def test_worker_has_our_arguments_environment_streams_and_status(
    worker: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    code = (
        "import os, sys\n"
        "print(__name__, sys.argv[1:], os.environ['WORD'], os.getcwd(), 'csv' in sys.modules)\n"
        "sys.exit(7)"
    )
    process = worker(code, "--flag", "value", WORD="here")
    output, _ = process.communicate(timeout=30)
    assert output.split() == ["__main__", "['--flag',", "'value']", "here", str(tmp_path), "True"]
    assert process.returncode == 7


def test_worker_that_raises_fails(worker: Callable[..., subprocess.Popen[str]]) -> None:
    process = worker("raise SystemError")
    process.communicate(timeout=30)
    assert process.returncode == 1


def test_worker_that_is_killed_is_seen_as_killed(
    worker: Callable[..., subprocess.Popen[str]],
) -> None:
    process = worker("import os; os.kill(os.getpid(), 9)")
    process.communicate(timeout=30)
    assert process.returncode == -9


def test_worker_dies_with_the_one_who_asked_for_it_and_the_server_with_the_last(
    worker: Callable[..., subprocess.Popen[str]], server: subprocess.Popen[bytes]
) -> None:
    process = worker("import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    assert process.stdout
    pid = int(process.stdout.readline())
    assert pid != process.pid
    process.kill()
    process.wait()
    assert server.wait(timeout=30) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_worker_has_a_process_group_of_its_own(
    worker: Callable[..., subprocess.Popen[str]], server: subprocess.Popen[bytes]
) -> None:
    other = worker("import time; print(flush=True); time.sleep(60)")
    assert other.stdout and other.stdout.readline()
    process = worker("import os; os.killpg(0, 9)")
    assert process.wait(timeout=30) == -9
    assert other.poll() is None and server.poll() is None
    other.kill()


def test_worker_is_not_started_again_when_the_server_is_killed(
    worker: Callable[..., subprocess.Popen[str]], server: subprocess.Popen[bytes]
) -> None:
    process = worker("import time; print(flush=True); time.sleep(5)")
    assert process.stdout and process.stdout.readline()
    server.kill()
    assert process.wait(timeout=30) == -9


def answer_to(uid: int, address: Path) -> bytes:
    """What the server sends to a process of another user that asks it to run something."""
    reading, writing = os.pipe()
    if not os.fork():
        try:
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(address))
                os.write(writing, connection.recv(1) or b"closed")
        except OSError as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.wait()
    os.close(writing)
    return os.read(reading, 100)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_is_refused_by_the_folder_and_by_the_server(
    server: subprocess.Popen[bytes],
    worker: Callable[..., subprocess.Popen[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_RAYLET_PID", str(tmp_path))
    address = Path(forkserver._address())
    assert address.is_socket() and address.parent.stat().st_mode & 0o777 == 0o700
    assert answer_to(NOBODY, address) == b"PermissionError"
    address.parent.chmod(0o711)
    address.chmod(0o777)
    try:
        assert answer_to(NOBODY, address) == b"closed"
        with pytest.raises(PermissionError, match="open to others"):
            forkserver._address()
    finally:
        address.parent.chmod(0o700)
    assert worker("print(7)").communicate(timeout=30)[0] == "7\n"
    assert server.wait(timeout=30) == 0 and not address.exists()
