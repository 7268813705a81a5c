"""Start Ray workers by forking one process that has already imported verl.

A verl run has about nine processes, each of which imports torch, transformers and verl for 13
CPU-seconds: on two cores that is most of a short run, and 0.9 GB each. Ray starts its workers with
`runtime_env.py_executable`; naming this script there makes the first worker of a run start a
server, which imports once and then forks all of them. It exits with its last worker.

Standard library only, and run by path: importing the package would cost what this file saves.
"""

import contextlib
import ctypes
import fcntl
import gc
import hashlib
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from typing import Any, NoReturn

PRELOADED = (
    "verl.trainer.ppo.v1",
    "verl.trainer.main_ppo",
    "verl.workers.engine_workers",
    "verl.experimental.agent_loop",
    "reward_plugins.verl_plugin.cpu.rollout",
    "reward_plugins.verl_plugin.dataset",
    "reward_plugins.reward",
    "transformers.models.qwen2_5_vl.modeling_qwen2_5_vl",
    "transformers.models.qwen2_5_vl.processing_qwen2_5_vl",
    "torch.distributed.fsdp",
    "ray._private.workers.default_worker",
)
LENGTH = struct.Struct("!Q")
STATUS = struct.Struct("!i")
TAKEN = b"!"
PR_SET_PDEATHSIG = 1
CREDENTIALS = struct.Struct("3i")
LONGEST_FOLDER = 60
"""The system allows 107 bytes for the path of a socket."""


def main(argv: list[str]) -> None:
    """Run as the interpreter of `argv` (a script and its arguments), or as the server."""
    if argv[0] == "--serve":
        return Server(argv[1]).run()
    server: subprocess.Popen[bytes] | None = None
    while server is None or not server.poll():
        with contextlib.suppress(ConnectionError):
            _end_like(_follow(_fork_remotely(_address(), argv)))
        if server is None or server.poll() == 0:
            server = _start_server(_address())
        time.sleep(0.2)
    raise RuntimeError(f"the fork server ended with status {server.poll()}; its error is above")


def _address() -> str:
    """A socket of this user's, and of this interpreter and path on this Ray node.

    Raises:
        PermissionError: others can enter the folder that it is to lie in.
    """
    node = os.environ.get("RAY_RAYLET_PID", os.getppid())
    parts = (os.getuid(), node, sys.executable, os.environ.get("PYTHONPATH"))
    root = tempfile.gettempdir() if len(tempfile.gettempdir()) < LONGEST_FOLDER else "/tmp"
    folder = os.path.join(root, f"verl-fork-{os.getuid()}")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    status = os.lstat(folder)
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PermissionError(f"{folder} is open to others, who could run code as you: remove it")
    return os.path.join(folder, hashlib.sha256(repr(parts).encode()).hexdigest()[:32])


def _start_server(address: str) -> subprocess.Popen[bytes]:
    """`-P`: this file's directory holds names of the standard library."""
    quiet = "ignore::UserWarning:verl.workers.engine"  # "... engine is not available"
    command = [sys.executable, "-P", "-W", quiet, os.path.abspath(__file__), "--serve", address]
    return subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)


def _fork_remotely(address: str, argv: list[str]) -> socket.socket:
    """Have the server fork a process with our arguments, environment and streams.

    Raises:
        ConnectionError: there is no server, or it ended before it took the request.
    """
    if not os.path.exists(address):
        raise ConnectionRefusedError(address)
    body = json.dumps({"argv": argv, "env": dict(os.environ), "cwd": os.getcwd()}).encode()
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(address)
    socket.send_fds(connection, [LENGTH.pack(len(body))], [0, 1, 2])
    connection.sendall(body)
    _receive(connection, len(TAKEN))
    return connection


def _follow(connection: socket.socket) -> int:
    """The status of the forked process, once it has ended; a killed one's if the server is gone."""
    try:
        return int(STATUS.unpack(_receive(connection, STATUS.size))[0])
    except ConnectionError:
        return signal.SIGKILL


def _end_like(status: int) -> NoReturn:
    if os.WIFSIGNALED(status):
        with contextlib.suppress(OSError):  # SIGKILL has no other handler anyway
            signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.waitstatus_to_exitcode(status))


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the other side is gone")
        data += part
    return data


class Server:
    """Forks a child a connection; tells the connection how the child ended, and the reverse."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.lock = _lock(f"{address}.lock")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(address)  # of a server that was killed
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(address)
        self.listener.listen(128)
        self.selector = selectors.DefaultSelector()
        self.children: dict[int, tuple[int, socket.socket]] = {}  # pid: pidfd, connection

    def run(self) -> None:
        """Serve until the last child has ended."""
        for module in PRELOADED:
            importlib.import_module(module)
        gc.collect()
        gc.freeze()  # the collector must not write to pages that the children share
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        served = False
        while self.children or not served:
            for key, _ in self.selector.select():
                if key.data is None:
                    served = self._accept() or served
                elif key.data in self.children:
                    self._settle(key.data)
        os.unlink(self.address)
        os.unlink(f"{self.address}.lock")

    def _accept(self) -> bool:
        """Fork what is asked for; False where another user asks."""
        connection, _ = self.listener.accept()
        about = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        if CREDENTIALS.unpack(about)[1] != os.getuid():
            connection.close()
            return False
        header, streams, _, _ = socket.recv_fds(connection, LENGTH.size, 3)
        request = json.loads(_receive(connection, LENGTH.unpack(header)[0]))
        pid = os.fork()
        if not pid:
            self._become(request, streams)
        for stream in streams:
            os.close(stream)
        with contextlib.suppress(OSError):
            connection.sendall(TAKEN)
        pidfd = os.pidfd_open(pid)
        self.children[pid] = pidfd, connection
        self.selector.register(pidfd, selectors.EVENT_READ, pid)
        self.selector.register(connection, selectors.EVENT_READ, pid)
        return True

    def _become(self, request: dict[str, Any], streams: list[int]) -> NoReturn:
        """In the child: be the process that the request describes."""
        os.setsid()  # Ray ends a worker by its process group
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.close(self.lock)
        self.listener.close()
        self.selector.close()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        os.environ.clear()
        os.environ.update(request["env"])
        os.chdir(request["cwd"])
        sys.argv = request["argv"]
        runpy.run_path(sys.argv[0], run_name="__main__")
        sys.exit(0)

    def _settle(self, pid: int) -> None:
        """The child ended, or the one who asked for it did."""
        pidfd, connection = self.children.pop(pid)
        if not _ended(pid):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(OSError):
            connection.sendall(STATUS.pack(status))
        for handle in (pidfd, connection):
            self.selector.unregister(handle)
        os.close(pidfd)
        connection.close()


def _lock(path: str) -> int:
    """Hold the lock for as long as this process lives; ends it when another server was faster."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(path)):  # else its holder just removed it
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    sys.exit(0)


def _ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


if __name__ == "__main__":
    main(sys.argv[1:])
