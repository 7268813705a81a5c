"""A stage that serves its teacher itself, with a stand-in for the vLLM executable."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from fake_server import FakeServer

from data_builders import serving
from data_builders.chat import Chat, EndpointError, answers
from data_builders.ledger import Ledger
from data_builders.serving import served
from data_builders.trajectory_specs import EndpointSpec

ROOT = Path(__file__).parents[3]

KEY = "data.trajectories.teacher"
SERVES = """
from fake_server import FakeServer
print("words:", *sys.argv[1:], flush=True)
server = FakeServer(int(sys.argv[sys.argv.index("--port") + 1]))
server.reply = lambda body: f"I am {sys.argv[2]}."
signal.pause()
"""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "SECONDS_BETWEEN_LOOKS", 0.05)


def executable(tmp_path: Path, body: str) -> list[str]:
    path = tmp_path / "vllm"
    beside = f"sys.path[:0] = {[str(Path(__file__).parent), str(ROOT)]}"
    path.write_text(f"#!{sys.executable}\nimport signal, sys, time\n{beside}\n{body}")
    path.chmod(0o755)
    return [str(path)]


def endpoint(**changes: object) -> EndpointSpec:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = ("--tensor-parallel-size", 4)
    values = {"model": "teacher", "base_url": f"http://127.0.0.1:{port}/v1", "serve": words}
    return EndpointSpec.model_validate({**values, "attempts": 1, **changes})


def test_a_model_is_served_for_as_long_as_it_is_needed(tmp_path: Path) -> None:
    spec, output = endpoint(), tmp_path / "vllm.log"
    chat = Chat(spec, Ledger(tmp_path / "replies.jsonl"))
    with served(spec, KEY, executable(tmp_path, SERVES), output):
        text = chat.ask("?", lambda: [{"role": "user", "content": "Who?"}]).text
    assert text == "I am teacher."
    assert not answers(spec)
    port = spec.base_url.rpartition(":")[2].removesuffix("/v1")
    words = f"serve teacher --host 127.0.0.1 --port {port} --tensor-parallel-size 4"
    assert output.read_text() == f"words: {words}\n"


def test_it_ends_also_when_what_needed_it_fails(tmp_path: Path) -> None:
    spec = endpoint()
    with (
        pytest.raises(KeyError),
        served(spec, KEY, executable(tmp_path, SERVES), tmp_path / "vllm.log"),
    ):
        raise KeyError
    assert not answers(spec)


def test_a_server_that_dies_says_why(tmp_path: Path) -> None:
    dies = executable(tmp_path, "sys.exit('CUDA out of memory')")
    with (
        pytest.raises(
            EndpointError, match=r"teacher\.serve: the server ended with code 1(?s:.*)memory"
        ),
        served(endpoint(), KEY, dies, tmp_path / "vllm.log"),
    ):
        pytest.fail("it served")


def test_a_server_that_never_answers_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "GRACE_SECONDS", 0.1)
    deaf = executable(tmp_path, "signal.signal(15, signal.SIG_IGN)\nprint('up')\ntime.sleep(60)")
    with (
        pytest.raises(EndpointError, match=r"within 0\.3 s(?s:.*)start_seconds"),
        served(endpoint(start_seconds=0.3), KEY, deaf, tmp_path / "vllm.log"),
    ):
        pytest.fail("it served")


def test_a_port_that_is_taken_is_not_mistaken_for_ours(tmp_path: Path, server: FakeServer) -> None:
    spec = endpoint(base_url=server.url)
    with (
        pytest.raises(EndpointError, match=r"answers at .* already"),
        served(spec, KEY, [str(tmp_path / "no vllm")], tmp_path / "vllm.log"),
    ):
        pytest.fail("it served")


def test_without_words_nothing_is_started(tmp_path: Path) -> None:
    with served(endpoint(serve=None), KEY, [str(tmp_path / "no vllm")], tmp_path / "vllm.log"):
        assert not (tmp_path / "vllm.log").exists()
