"""Synthesis against a local OpenAI-compatible server that also errs, stalls and talks nonsense."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_server import GOOD, FakeServer, text_of, written

from data_builders import chat
from data_builders.chat import EndpointError
from data_builders.media import video
from data_builders.sample import Sample, read_samples
from data_builders.trajectories import synthesise
from data_builders.trajectory_filters import judged
from data_builders.trajectory_specs import EndpointSpec, TrajectorySpec
from data_builders.trajectory_writer import CachedClips


class Clips:
    """Two frames for any clip; counts how often they are encoded."""

    def __init__(self) -> None:
        self.encoded = 0

    def key(self, clip: str) -> str:
        return clip

    def fps(self, clip: str) -> float:
        return 2.0

    def jpegs(self, clip: str) -> list[bytes]:
        self.encoded += 1
        return [f"{clip} {n}".encode() for n in range(2)]


def _sample(name: str, motion: str = "The camera pans left.") -> Sample:
    return Sample(
        id=name, dataset="d", split="train", task="multiple_choice", category="pan_left",
        media=(video(f"{name}.mp4"),), question=f"What fits clip {name}?",
        options=("The scene is dark.", motion), answer="B",
    )  # fmt: skip


SAMPLES = [_sample(f"s{n}") for n in range(8)]


def _spec(server: FakeServer, *, with_judge: bool = False, **changes: Any) -> TrajectorySpec:
    teacher = {"model": "teacher", "base_url": server.url, "seconds": 5, "concurrency": 3,
               "attempts": 1, "dollars_per_million": (2.0, 10.0)}  # fmt: skip
    own = {k: changes.pop(k) for k in list(changes) if k in EndpointSpec.model_fields}
    endpoint = EndpointSpec.model_validate({**teacher, **own})
    judge = endpoint.model_copy(update={"model": "judge"}) if with_judge else None
    return TrajectorySpec(teacher=endpoint, judge=judge, **changes)


def test_accepted_trajectories_are_written_as_samples(server: FakeServer, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    summary = synthesise(
        SAMPLES, Clips(), _spec(server), tmp_path, lambda *progress: said.append(progress)
    )
    made = read_samples(tmp_path / "trajectories.parquet")
    assert sorted(s.id for s in made) == sorted(s.id for s in SAMPLES)
    assert {(s.observation, s.think, s.answer) for s in made} == {
        ("The far wall drifts right.", "So it pans left.", "B")
    }
    assert {s.provenance["written_by"] for s in made} == {"teacher"}
    assert (summary.asked, summary.accepted, summary.families) == (8, 8, {"rotation": 8})
    assert (summary.prompt_tokens, summary.answer_tokens) == (8000, 800)
    assert summary.dollars == pytest.approx(0.024)
    assert json.loads((tmp_path / "summary.json").read_text())["accepted"] == 8
    assert said[-1] == (8, 8)


def test_the_teacher_sees_frames_question_and_answer(server: FakeServer, tmp_path: Path) -> None:
    synthesise([_sample("s0")], Clips(), _spec(server, extra_body={"top_k": 5}), tmp_path)
    (body,) = server.bodies
    *images, text = body["messages"][-1]["content"]
    urls = [image["image_url"]["url"] for image in images]
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls)
    frames = [base64.b64decode(url.partition(",")[2]).decode() for url in urls]
    assert frames == ["s0.mp4 0", "s0.mp4 1"]
    assert "What fits clip s0?\nA. The scene is dark.\nB. The camera pans left." in text["text"]
    assert "The answer is B. The camera pans left." in text["text"]
    assert (body["model"], body["max_tokens"], body["top_k"]) == ("teacher", 1024, 5)


@pytest.mark.parametrize(
    "fault",
    [500, 400, "reset", "stall", b"<html>", b"", b"{}", b"[]", b"null", b'{"choices": []}',
     b'{"choices": [{"message": null}]}', None, "a" * 100_000, "\ud800", "\x00<think>"],
)  # fmt: skip
def test_a_bad_answer_costs_one_request(server: FakeServer, tmp_path: Path, fault: Any) -> None:
    def reply(body: dict[str, Any]) -> Any:
        return fault if "clip s3" in text_of(body) else written(body)

    server.reply = reply
    summary = synthesise(SAMPLES, Clips(), _spec(server, seconds=0.5), tmp_path)
    assert (summary.asked, summary.accepted, sum(summary.rejected.values())) == (8, 7, 1)
    (row,) = map(json.loads, (tmp_path / "rejected.jsonl").read_text().splitlines())
    assert row["sample_id"] == "s3"
    assert row["stage"] in ("request", "format")
    assert row["reason"]


def test_passing_faults_are_bridged(server: FakeServer, tmp_path: Path) -> None:
    faults = [500, 429, 503]
    server.reply = lambda body: faults.pop() if faults else written(body)
    assert synthesise(SAMPLES, Clips(), _spec(server, attempts=4), tmp_path).accepted == 8
    assert len(server.bodies) == 11


def test_the_next_run_asks_only_what_failed(server: FakeServer, tmp_path: Path) -> None:
    server.reply = lambda body: 500 if "clip s3" in text_of(body) else written(body)
    synthesise(SAMPLES, Clips(), _spec(server), tmp_path)
    server.bodies.clear()
    server.reply = written
    clips = Clips()
    summary = synthesise(SAMPLES, clips, _spec(server), tmp_path)
    assert (summary.accepted, server.asked(), clips.encoded) == (8, ["clip s3"], 1)
    assert summary.dollars == pytest.approx(0.024)


def test_a_run_that_was_cut_off_goes_on(server: FakeServer, tmp_path: Path) -> None:
    answered = iter(range(100))
    server.reply = lambda body: written(body) if next(answered) < 4 else 401
    with pytest.raises(EndpointError):
        synthesise(SAMPLES, Clips(), _spec(server, concurrency=1), tmp_path)
    first, server.bodies = server.asked()[:4], []
    server.reply = written
    assert synthesise(SAMPLES, Clips(), _spec(server), tmp_path).accepted == 8
    assert sorted([*first, *server.asked()]) == [f"clip s{n}" for n in range(8)]


def test_another_model_or_question_is_asked_anew(server: FakeServer, tmp_path: Path) -> None:
    synthesise(SAMPLES[:1], Clips(), _spec(server), tmp_path)
    synthesise(SAMPLES[:1], Clips(), _spec(server, model="other"), tmp_path)
    changed = SAMPLES[0].model_copy(update={"options": ("Dark.", "The camera pans left.")})
    synthesise([changed], Clips(), _spec(server), tmp_path)
    synthesise([changed], Clips(), _spec(server, extra_body={"top_k": 5}), tmp_path)
    assert len(server.bodies) == 4


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_ends_the_run(
    server: FakeServer, tmp_path: Path, status: int
) -> None:
    server.reply = lambda _: status
    with pytest.raises(EndpointError, match="the key in OPENAI_API_KEY"):
        synthesise(SAMPLES, Clips(), _spec(server, concurrency=1), tmp_path)
    assert len(server.bodies) <= 2


def test_a_dead_server_ends_the_run(server: FakeServer, tmp_path: Path) -> None:
    spec = _spec(server, base_url="http://127.0.0.1:9/v1", failures_in_a_row=4)
    with pytest.raises(EndpointError, match=r"4 requests in a row got no answer.*run again"):
        synthesise(SAMPLES, Clips(), spec, tmp_path)


def test_failures_between_answers_do_not_end_the_run(server: FakeServer, tmp_path: Path) -> None:
    turns = iter([500, 0] * 4)
    server.reply = lambda body: next(turns) or written(body)
    spec = _spec(server, concurrency=1, failures_in_a_row=2)
    summary = synthesise(SAMPLES, Clips(), spec, tmp_path)
    assert (summary.accepted, summary.rejected) == (4, {"request": 4})


MOTIONS = {"track": "It moves forward.", "zoom": "It zooms in.", "static": "It is fixed."}
MIXED = [
    _sample(f"{name}{n}", motion)
    for name, motion in MOTIONS.items()
    for n in range(6)
]  # fmt: skip


@pytest.mark.parametrize("concurrency", [1, 8])
def test_quotas_are_met_by_the_same_questions_at_any_speed(
    server: FakeServer, tmp_path: Path, concurrency: int
) -> None:
    spec = _spec(server, quotas={"track": 2, "zoom": 3}, concurrency=concurrency)
    summary = synthesise(MIXED, Clips(), spec, tmp_path / "a")
    assert summary.families == {"track": 2, "zoom": 3}
    assert summary.accepted == 5 + summary.surplus
    slow = _spec(server, quotas={"track": 2, "zoom": 3}, concurrency=1)
    synthesise(MIXED, Clips(), slow, tmp_path / "b")
    made = [read_samples(tmp_path / run / "trajectories.parquet") for run in "ab"]
    assert made[0] == made[1]


def test_the_seed_draws_the_questions(server: FakeServer, tmp_path: Path) -> None:
    drawn = set()
    for seed in range(4):
        synthesise(MIXED, Clips(), _spec(server, quotas={"zoom": 2}, seed=seed), tmp_path)
        made = read_samples(tmp_path / "trajectories.parquet")
        drawn.add(tuple(sorted(s.id for s in made)))
    assert len(drawn) > 1


def test_what_is_missing_from_a_quota_is_said(server: FakeServer, tmp_path: Path) -> None:
    server.reply = lambda body: written(body) if "clip zoom1" in text_of(body) else "nonsense"
    summary = synthesise(MIXED, Clips(), _spec(server, quotas={"zoom": 4}), tmp_path)
    assert (summary.short, summary.rejected) == ({"zoom": 3}, {"format": 5})
    assert "16.7% accepted (rejected: format 83.3%)" in summary.line()
    assert summary.line().endswith("questions ran out, short of: zoom 3")


def test_the_judge_reads_the_reasoning_but_not_the_answer(
    server: FakeServer, tmp_path: Path
) -> None:
    summary = synthesise(SAMPLES[:1], Clips(), _spec(server, with_judge=True), tmp_path)
    asked = text_of(server.bodies[1])
    assert "The far wall drifts right." in asked
    assert "So it pans left." in asked
    assert "answer is B" not in asked
    assert isinstance(server.bodies[1]["messages"][-1]["content"], str)
    assert (summary.accepted, summary.prompt_tokens) == (1, 2000)


def test_the_judge_is_not_asked_about_what_is_refused_already(
    server: FakeServer, tmp_path: Path
) -> None:
    server.reply = lambda _: f"{GOOD}<answer>A</answer>"
    summary = synthesise(SAMPLES[:2], Clips(), _spec(server, with_judge=True), tmp_path)
    assert summary.rejected == {"label": 2}
    assert {body["model"] for body in server.bodies} == {"teacher"}


def test_reasoning_that_leads_elsewhere_is_rejected(server: FakeServer, tmp_path: Path) -> None:
    server.reply = lambda body: "A" if body["model"] == "judge" else written(body)
    summary = synthesise(SAMPLES, Clips(), _spec(server, with_judge=True), tmp_path)
    assert (summary.accepted, summary.rejected) == (0, {"judge": 8})
    assert "leads to A, not B" in (tmp_path / "rejected.jsonl").read_text()


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        ("B", None),
        ("**B**", None),
        ("<think>A? No.</think>\n\nB.", None),
        ("A", "leads to A, not B"),
        ("NONE", "leads to no option"),
        ("none.", "leads to no option"),
        ("Hard to say", "no verdict: 'Hard to say'"),
        ("", "no verdict"),
    ],
)
def test_verdicts(verdict: str, reason: str | None) -> None:
    rejection = judged(_sample("s"), verdict)
    assert (rejection is None) == (reason is None)
    assert reason is None or (rejection and reason in rejection.reason)


def test_requests_are_spread_over_the_minute(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 100.0, sleep=slept.append)
    monkeypatch.setattr(chat, "time", clock)
    spec = _spec(server, requests_per_minute=30, concurrency=1)
    synthesise(SAMPLES[:4], Clips(), spec, tmp_path)
    assert slept == [0.0, 2.0, 4.0, 6.0]


def test_frames_of_the_cache_are_sent_as_jpeg() -> None:
    np, image = pytest.importorskip("numpy"), pytest.importorskip("PIL.Image")
    frames = np.full((2, 28, 56, 3), (200, 40, 40), np.uint8)
    meta = SimpleNamespace(fps=1.5, frames_sha256="abc")
    index: Any = SimpleNamespace(meta=lambda clip: meta, load=lambda clip: (frames, meta))
    clips = CachedClips(index)
    assert (clips.fps("c"), clips.key("c")) == (1.5, "abc")
    decoded = [image.open(io.BytesIO(jpeg)) for jpeg in clips.jpegs("c")]
    assert [(one.format, one.size) for one in decoded] == [("JPEG", (56, 28))] * 2
    assert np.abs(np.asarray(decoded[0]).astype(int) - frames[0]).max() < 8
