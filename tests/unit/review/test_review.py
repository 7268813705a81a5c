from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.sample import Sample
from orchestrator.ask.page import PageError
from orchestrator.review.decisions import Decision, Decisions, trace_digest
from orchestrator.review.queue import draw
from orchestrator.review.server import ReviewServer
from orchestrator.review.summary import agreement, lines, summarise
from reward_plugins.rows import RowError


def decision(sample: Sample, reviewer: str = "Ada", reason: str = "") -> Decision:
    return Decision(
        reviewer=reviewer, sample_id=sample.id, trace=trace_digest(sample),
        verdict="reject" if reason else "accept", reason=reason,
    )  # fmt: skip


WRONG = "the answer is wrong"

# --- which ones ---


def test_the_draw_is_seeded_grows_and_leaves_out_what_has_no_trace(samples: list[Sample]) -> None:
    many = [samples[0].model_copy(update={"id": f"s{n}"}) for n in range(100)]
    bare = [s.model_copy(update={"id": f"bare{s.id}", "think": None}) for s in many]
    drawn = draw([*many, *bare], 20, seed=1)
    assert len(drawn) == 20 and all(s.think for s in drawn)
    assert drawn == draw([*reversed(many), *bare], 50, seed=1)[:20]
    assert drawn != draw(many, 20, seed=2)


# --- decisions ---


def test_decisions_outlive_the_process_and_the_last_one_counts(
    samples: list[Sample], tmp_path: Path
) -> None:
    path = tmp_path / "d" / "decisions.jsonl"
    Decisions(path).add(decision(samples[0]))
    Decisions(path).add(decision(samples[0], reason=WRONG))
    Decisions(path).add(decision(samples[1], reviewer="Grace"))
    found = Decisions(path).latest(samples)
    assert found[("Ada", "s0")].reason == WRONG
    assert found.keys() == {("Ada", "s0"), ("Grace", "s1")}
    assert len(path.read_text().splitlines()) == 3  # nothing is overwritten


@pytest.mark.parametrize("field", ["observation", "think", "question"])
def test_a_trajectory_written_anew_needs_a_new_verdict(
    samples: list[Sample], tmp_path: Path, field: str
) -> None:
    kept = Decisions(tmp_path / "decisions.jsonl")
    kept.add(decision(samples[0]))
    assert kept.latest(samples)
    assert kept.latest([samples[0].model_copy(update={field: "another"})]) == {}


def test_half_a_row_of_a_killed_process_is_dropped(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    Decisions(path).add(decision(samples[0]))
    with path.open("a") as file:
        file.write('{"reviewer": "Ada", "sam')
    assert len(Decisions(path).latest(samples)) == 1
    Decisions(path).add(decision(samples[1]))
    assert len(Decisions(path).latest(samples)) == 2


def test_a_damaged_row_is_an_error_that_names_it(samples: list[Sample], tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text("{}\n")
    with pytest.raises(RowError, match="line 1 is damaged"):
        Decisions(path).latest(samples)


@pytest.mark.parametrize(
    "change",
    [{"verdict": "reject"}, {"reason": WRONG}, {"reviewer": " "}, {"reviewer": ""},
     {"verdict": "maybe"}, {"verdict": "reject", "reason": "I dislike it"}],
)  # fmt: skip
def test_impossible_decisions_are_refused(samples: list[Sample], change: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Decision.model_validate({**decision(samples[0]).model_dump(), **change})


# --- what they are worth ---


def test_kappa_of_a_worked_example() -> None:
    """Two readers of 50 proposals, 20 both yes, 15 both no: agreement 0.7, kappa 0.4."""
    verdicts = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    first = {str(n): bool(a) for n, (a, _) in enumerate(verdicts)}
    second = {str(n): bool(b) for n, (_, b) in enumerate(verdicts)}
    found = agreement(("a", "b"), first, second)
    assert (found.n, found.agreed) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)
    assert agreement(("a", "b"), {"1": True}, {"1": True}).kappa is None
    assert agreement(("a", "b"), {"1": True}, {"2": True}).n == 0


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.booleans(), min_size=1))
def test_kappa_of_a_reviewer_with_themselves_is_one(own: dict[str, bool]) -> None:
    kappa = agreement(("a", "b"), own, own).kappa
    assert kappa is None if len(set(own.values())) == 1 else kappa == pytest.approx(1.0)


def test_the_summary_counts_trajectories_and_a_tie_is_no_acceptance(samples: list[Sample]) -> None:
    rows = [
        decision(samples[0]), decision(samples[0], "Grace"),
        decision(samples[1]), decision(samples[1], "Grace", WRONG),
        decision(samples[2], reason=WRONG),
    ]  # fmt: skip
    found = summarise({(d.reviewer, d.sample_id): d for d in rows}, wanted=4)
    assert (found.overall.decided, found.overall.accepted) == (3, 1)
    assert (found.reviewers["Ada"].decided, found.reviewers["Ada"].accepted) == (3, 2)
    assert found.agreements[0].n == 2 and found.agreements[0].agreed == 0.5
    assert found.reasons == {WRONG: 2}
    low, high = found.overall.interval
    assert low == pytest.approx(0.0615, abs=1e-3) and high == pytest.approx(0.7923, abs=1e-3)
    assert "1 of 3 accepted" in lines(found)[0]
    assert lines(summarise({}, 4)) == ["nothing reviewed yet, of 4 drawn"]


# --- the server ---


def ask(server: ReviewServer, method: str, path: str, body: Any = None, **headers: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    sent = {"Content-Type": "application/json", **headers}
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    content = answer.read()
    return answer.status, json.loads(content) if method == "POST" and content[
        :1
    ] == b"{" else content


def test_a_decision_is_on_disk_when_the_server_answers(
    server: ReviewServer, samples: list[Sample], tmp_path: Path
) -> None:
    sent = decision(samples[1], reason=WRONG).model_dump(mode="json", exclude={"at"})
    status, state = ask(server, "POST", "/decisions", sent)
    assert status == 200 and state["mine"]["s1"]["reason"] == WRONG
    assert len((tmp_path / "review" / "decisions.jsonl").read_text().splitlines()) == 1
    summary = json.loads((tmp_path / "review" / "summary.json").read_text())
    assert summary["overall"]["decided"] == 1


def test_items_hold_frames_or_say_why_not(server: ReviewServer) -> None:
    good, bad = (json.loads(ask(server, "GET", f"/items/{n}")[1]) for n in (0, 3))
    assert len(good["frames"]) == 4 and good["fps"] == 4.0 and good["problem"] is None
    assert bad["frames"] == [] and "InvalidDataError" in bad["problem"]


@pytest.mark.parametrize("path", ["/items/4", "/items/-1", "/items/x", "/../page.html", "/items"])
def test_there_is_nothing_else_to_get(server: ReviewServer, path: str) -> None:
    assert ask(server, "GET", path)[0] == 404


@pytest.mark.parametrize("body", [{}, [], {"reviewer": "Ada"}, "x", None])
def test_nonsense_is_refused_and_nothing_is_kept(
    server: ReviewServer, tmp_path: Path, body: Any
) -> None:
    assert ask(server, "POST", "/decisions", body)[0] == 400
    assert not (tmp_path / "review" / "decisions.jsonl").exists()


def test_a_verdict_on_what_is_no_longer_shown_is_refused(
    server: ReviewServer, samples: list[Sample]
) -> None:
    old = decision(samples[0].model_copy(update={"think": "An older thought."}))
    status, said = ask(server, "POST", "/decisions", old.model_dump(mode="json"))
    assert status == 400 and "reload" in said["error"]


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Content-Type": "text/plain"}], ids=str
)
def test_other_pages_in_the_same_browser_cannot_decide(
    server: ReviewServer, samples: list[Sample], headers: dict[str, str], tmp_path: Path
) -> None:
    sent = decision(samples[0]).model_dump(mode="json")
    assert ask(server, "POST", "/decisions", sent, **headers)[0] == 403
    assert not (tmp_path / "review" / "decisions.jsonl").exists()


def test_a_port_that_is_taken_names_the_key(server: ReviewServer, tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"review\.port"):
        ReviewServer(server.queue, tmp_path, server.server_port)
