"""The desk keeps clips apart that have one name, and replaces what died; the server lasts."""

from __future__ import annotations

import http.client
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from web import Web

from data_builders.decoding import write_lossless
from data_builders.frames import load_entry
from orchestrator.ask.checkpoints import of_run
from orchestrator.ask.desk import MOST_LETTERS, Desk
from orchestrator.ask.errors import AskError, PolicyError
from orchestrator.ask.page import MOST_REQUESTS
from orchestrator.ask.policy import Ask
from orchestrator.ask.server import AskServer


class Mortal:
    """A policy whose first process dies of its first question."""

    born = 0

    def __init__(self, checkpoint: object, engine: str) -> None:
        Mortal.born += 1
        self.first = Mortal.born == 1

    def __enter__(self) -> Mortal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing runs."""

    def answer(self, batch: Sequence[Ask]) -> list[dict[str, Any]]:
        if self.first:
            raise PolicyError("the model's process ended")
        return [{"text": "<answer>A</answer>", "tokens": 1} for _ in batch]


@pytest.fixture
def desk(run: Path, tmp_path: Path) -> Desk:
    (tmp_path / "kept").mkdir()
    Mortal.born = 0
    desk = Desk(of_run(run), "hf", tmp_path / "kept", load=Mortal)  # type: ignore[arg-type]
    own = {"cache_dir": str(tmp_path / "cache")}
    data = desk.recipe.data.model_copy(update=own)
    desk.recipe = desk.recipe.model_copy(update={"data": data})
    return desk


@pytest.fixture
def server(desk: Desk) -> Iterator[AskServer]:
    with AskServer(desk, 0) as running:
        poll = {"poll_interval": 0.01}
        threading.Thread(target=running.serve_forever, kwargs=poll, daemon=True).start()
        yield running
        running.shutdown()


def clip_of(seed: int, path: Path) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 56, 56, 3), dtype=np.uint8)
    write_lossless(path, pixels, Fraction(2))
    return path.read_bytes()


def test_two_addresses_that_end_alike_are_two_clips(desk: Desk, web: Web, tmp_path: Path) -> None:
    for seed, folder in enumerate("ab"):
        web.pages[f"/{folder}/clip.mp4"] = clip_of(seed, tmp_path / "clip.mp4")
    shown = [desk.show_known(f"{web.url}/{folder}/clip.mp4") for folder in "ab"]
    assert shown[0]["clip"] != shown[1]["clip"] and shown[0]["frames"] != shown[1]["frames"]
    frames = [load_entry(desk._shown[each["clip"]].entry)[0] for each in shown]
    assert not np.array_equal(*frames)


def test_what_is_refused_leaves_nothing(desk: Desk, server: AskServer, web: Web) -> None:
    web.pages["/text.mp4"] = b"<html>"
    with pytest.raises(AskError):
        desk.show_known(f"{web.url}/text.mp4")
    for body, length in ((b"no clip", 7), (b"cut", 30)):
        with socket.create_connection(server.server_address[:2]) as connection:
            head = f"POST /clips HTTP/1.0\r\nHost: 127.0.0.1:{server.server_port}\r\n"
            kind = f"Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall(f"{head}{kind}".encode() + body)
            connection.shutdown(socket.SHUT_WR)
            assert b" 422 " in (answer := connection.recv(100)) or b" 400 " in answer
    assert not any(desk.folder.iterdir())


def test_a_process_that_died_is_replaced_at_the_next_question(desk: Desk, tmp_path: Path) -> None:
    clip_of(0, desk.folder / "clip.mp4")
    desk.show(desk.folder, "clip.mp4")
    asked = (next(iter(desk.checkpoints)), "clip.mp4", "Which way?", ["left", "right"])
    with pytest.raises(PolicyError):
        desk.answer(*asked)
    assert desk.answer(*asked)["answers"] and Mortal.born == 2
    with pytest.raises(AskError, match="shorten it"):
        desk.answer(*asked[:2], "x" * (MOST_LETTERS + 1), [])


def test_a_negative_length_is_refused_at_once(server: AskServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    kind = {"Content-Type": "application/json", "Content-Length": "-5"}
    connection.request("POST", "/ask", headers=kind)
    assert connection.getresponse().status == 400


def test_slow_connections_do_not_pile_up(server: AskServer) -> None:
    slow = [socket.create_connection(server.server_address[:2]) for _ in range(4 * MOST_REQUESTS)]
    try:
        slow[-1].settimeout(5)
        assert slow[-1].recv(1) == b""  # hung up on
    finally:
        for connection in slow:
            connection.close()
    deadline = time.monotonic() + 10
    while True:
        try:
            with urllib.request.urlopen(server.address, timeout=5) as page:
                status = page.status
            break
        except OSError:  # the hung-up ones have not left yet
            assert time.monotonic() < deadline
    assert status == 200
