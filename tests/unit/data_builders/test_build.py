"""The data stage on published-looking annotations, a stand-in network and a stand-in teacher."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_server import FakeServer, written

from data_builders import catalogue, gathering, teaching
from data_builders import fetch as net
from data_builders.annotations import AnnotationsError
from data_builders.build import BuildConfig, build, check
from data_builders.chat import EndpointError
from data_builders.decoding import write_lossless
from data_builders.frames import QuarantineError
from data_builders.placing import PlacingError
from data_builders.sample import read_samples
from data_builders.source_specs import Repository
from data_builders.teaching import TeachingError
from data_builders.trajectory_specs import EndpointSpec
from reward_plugins.errors import CamReasonerError

FRAMES = {"fps": 2, "min_frames": 2, "max_frames": 4, "min_pixels": 784, "max_pixels": 6400}
CLIPS = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the network: test clips, training clips, annotations."""
    root = tmp_path / "network"
    for number, name in enumerate((*CLIPS, "t.mp4")):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 56, 56, 3), dtype=np.uint8)
        folder = "test" if name == "t.mp4" else "train"
        (root / folder).mkdir(parents=True, exist_ok=True)
        write_lossless(root / folder / name, pixels, Fraction(2))
    annotate(root / "annotations" / "test" / "camerabench" / "data", ("t.mp4", "t.mp4"))
    annotate(root / "annotations" / "train", CLIPS)

    def fetch(source: Repository, target: Path, meter: object = None) -> Path:
        if source == catalogue.CAMERABENCH_ANNOTATIONS:
            return root / "annotations" / "test"
        target.mkdir(parents=True, exist_ok=True)
        if source == catalogue.CAMERABENCH_TRAIN_CLIPS:
            with zipfile.ZipFile(target / "videos.zip", "w") as zipped:
                for clip in (root / "train").iterdir():
                    zipped.write(clip, f"videos/{clip.name}")
        else:
            for clip in (root / "test").iterdir():
                (target / clip.name).write_bytes(clip.read_bytes())
        return target

    monkeypatch.setattr(net, "fetch", fetch)
    return root


def annotate(folder: Path, clips: tuple[str, ...]) -> None:
    (folder / "binary_classification").mkdir(parents=True)
    (folder / "vqa_and_retrieval" / "has_motion").mkdir(parents=True)
    rows = [{"image": c, "question": "Does the camera pan left?", "label": "No"} for c in clips]
    pair = {
        "pos_text": "The camera pans left.",
        "neg_text": "The camera pans right.",
        "pos_video": clips[0],
        "neg_video": clips[1],
    }
    for name, lines in (
        ("binary_classification/Pan_Left.jsonl", rows),
        ("vqa_and_retrieval/has_motion/pan.jsonl", [pair]),
    ):
        (folder / name).write_text("".join(json.dumps(line) + "\n" for line in lines))


def config(home: Path, server: FakeServer | None = None, **changes: Any) -> BuildConfig:
    root = home.parent
    endpoint = {"model": "teacher", "base_url": server.url if server else "", "attempts": 1}
    teaching = {
        "trajectories": {"teacher": endpoint, "judge": {**endpoint, "model": "judge"}},
        "frames": FRAMES,
        "cache": root / "cache",
        "replies": root / "downloads" / "replies.jsonl",
        "vllm": root / "vllm",
        "workers": 1,
        "max_quarantined": 0.5,
    }
    values = {
        "sources": ["camerabench"],
        "weights": None,
        "camerabench": {
            "vqa": "match",
            "train_annotations": home / "annotations" / "train",
        },
        "shotqa": None,
        "folder": None,
        "files": None,
        "synthetic": None,
        "tags": ["observation", "think", "answer"],
        "teaching": teaching if server else None,
        "downloads": root / "downloads",
        "max_quarantined": 0.5,
        "workers": 1,
        "seed": 0,
        "out": root / "out",
    }
    return BuildConfig.model_validate({**values, **changes})


def said(body: dict[str, Any]) -> str:
    """The teacher writes well; the judge is convinced of every pan to the left."""
    return "A" if body["model"] == "judge" else written(body)


def test_annotations_clips_and_a_teacher_make_all_three_sets(
    home: Path, server: FakeServer
) -> None:
    server.reply = said
    assert build(config(home, server)) == {"sft": 5, "rl": 6, "test": 4}
    out = home.parent / "out"
    taught = read_samples(out / "sft.parquet")
    assert {s.split for s in taught} == {"train"} and all(s.think for s in taught)
    assert {s.id for s in taught} < {s.id for s in read_samples(out / "rl.parquet")}
    for use in ("sft", "rl", "test"):
        for sample in read_samples(out / f"{use}.parquet"):
            assert (out / sample.clip).is_file()
    audit = json.loads((out / "audit.json").read_text())
    assert audit["datasets"]["camerabench_binary/train"]["majority_letter"] == 1.0
    assert json.loads((out / "quarantine.json").read_text()) == {"clips": {}, "questions": 0}


def test_clips_are_linked_not_copied_and_replies_are_not_paid_twice(
    home: Path, server: FakeServer
) -> None:
    server.reply = said
    build(config(home, server))
    asked = len(server.bodies)
    again = home.parent / "again"
    assert build(config(home, server, out=again))["sft"] == 5
    assert len(server.bodies) == asked
    clip = read_samples(again / "test.parquet")[0].clip
    assert (again / clip).samefile(home.parent / "out" / clip)


def test_a_clip_that_is_missing_or_empty_is_quarantined_with_its_questions(home: Path) -> None:
    (home / "train" / "c.mp4").unlink()
    (home / "train" / "d.mp4").write_bytes(b"")
    assert build(config(home)) == {"sft": 0, "rl": 4, "test": 4}
    report = json.loads((home.parent / "out" / "quarantine.json").read_text())
    reasons = {Path(clip).name: reason for clip, reason in report["clips"].items()}
    assert reasons.keys() == {"c.mp4", "d.mp4"} and report["questions"] == 2
    assert "missing" in reasons["c.mp4"] and "empty" in reasons["d.mp4"]
    with pytest.raises(QuarantineError, match=r"2 of 5 clips(?s:.*)data\.max_quarantined"):
        build(config(home, max_quarantined=0.1, out=home.parent / "strict"))
    assert not (home.parent / "strict" / "rl.parquet").exists()


def test_training_on_test_clips_is_said(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    (home / "train" / "a.mp4").write_bytes((home / "test" / "t.mp4").read_bytes())
    build(config(home))
    assert "show clips of the test split" in caplog.text


def test_a_teacher_that_is_not_there_is_named_before_anything_is_fetched(
    home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gathering.GATHER, "camerabench", lambda _: pytest.fail("it fetched"))
    asked = config(home, server)
    server.server_close()
    with pytest.raises(EndpointError, match=r"data\.trajectories\.teacher\.base_url"):
        build(asked)


def test_a_teacher_that_writes_nothing_usable_stops_the_stage(
    home: Path, server: FakeServer
) -> None:
    server.reply = lambda body: "I can't say."
    with pytest.raises(TeachingError, match=r"none of 6(?s:.*)rejected\.jsonl"):
        build(config(home, server))


def test_absent_training_questions_name_the_key(home: Path) -> None:
    own = {"vqa": "match", "train_annotations": Path("/nowhere/annotations")}
    with pytest.raises(AnnotationsError, match=r"data\.camerabench\.train_annotations"):
        build(config(home, camerabench=own))


def test_without_training_annotations_camerabench_tests_only(home: Path) -> None:
    assert build(config(home, camerabench={"vqa": "match"})) == {"sft": 0, "rl": 0, "test": 4}


OWN_SOURCE = """
from fractions import Fraction
import numpy as np
from data_builders.decoding import write_lossless
from data_builders.media import video
from data_builders.sample import Sample

def sets(folder):
    (folder / "mine").mkdir(parents=True, exist_ok=True)
    write_lossless(folder / "mine/1.mp4", np.zeros((4, 56, 56, 3), np.uint8), Fraction(2))
    one = Sample(id="1", dataset="mine", split="train", task="t", category="c",
                 media=(video("mine/1.mp4"),), question="Which?", options=("a", "b"), answer="A")
    traced = one.model_copy(update={"observation": "It is so.", "think": "So a."})
    return {"perception": [traced], "rl": [one]}

def nothing(folder):
    return {"rl": []}

def strange(folder):
    return {"rl": [1]}

def untraced(folder):
    return {"sft": sets(folder)["rl"]}
"""


def test_a_function_of_ones_own_returns_question_sets_by_name(home: Path) -> None:
    (home.parent / "own.py").write_text(OWN_SOURCE)
    own = {"sources": [f"{home.parent}/own.py:sets"], "camerabench": None}
    assert build(config(home, **own)) == {"sft": 0, "rl": 1, "test": 0, "perception": 1}
    (traced,) = read_samples(home.parent / "out" / "perception.parquet")
    (asked,) = read_samples(home.parent / "out" / "rl.parquet")
    assert (traced.id, traced.think, asked.think) == (asked.id, "So a.", None)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "returned no question sets"),
        ("strange", "holds 1, no Sample"),
        ("untraced", r"'1' \(mine/1\.mp4\) has no observation, think"),
    ],
)
def test_what_a_function_returns_is_checked(home: Path, name: str, words: str) -> None:
    (home.parent / "own.py").write_text(OWN_SOURCE)
    own = {"sources": [f"{home.parent}/own.py:{name}"], "camerabench": None}
    with pytest.raises(CamReasonerError, match=words):
        build(config(home, **own))


def fail_to_link(number: int) -> Any:
    def link(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return link


def test_clips_on_another_disk_are_copied(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", fail_to_link(errno.EXDEV))
    assert build(config(home)) == {"sft": 0, "rl": 6, "test": 4}
    clip = read_samples(home.parent / "out" / "test.parquet")[0].clip
    copy, source = home.parent / "out" / clip, home.parent / "downloads" / clip
    assert copy.read_bytes() == source.read_bytes() and not copy.samefile(source)


def test_a_full_disk_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", fail_to_link(errno.ENOSPC))
    with pytest.raises(PlacingError, match="No space left"):
        build(config(home))


def test_bare_answers_let_questions_without_traces_teach(home: Path) -> None:
    assert build(config(home, tags=[])) == {"sft": 6, "rl": 6, "test": 4}


def test_weights_hold_in_each_training_set(home: Path) -> None:
    synthetic = {"sft_clips": 4, "rl_clips": 6, "test_clips": 2, "textures": 2, "height": 28,
                 "width": 28, "frames": 2}  # fmt: skip
    mixed = config(
        home,
        sources=["camerabench", "synthetic"],
        weights={"camerabench": 2, "synthetic": 1},
        synthetic=synthetic,
    )
    assert build(mixed) == {"sft": 8, "rl": 6 + 3, "test": 4 + 4}


def own_clips(home: Path, *rows: str) -> dict[str, Any]:
    clips = home.parent / "mine"
    clips.mkdir()
    (clips / "a.mp4").write_bytes((home / "train" / "a.mp4").read_bytes())
    (clips / "link.mp4").symlink_to(home / "train" / "b.mp4")
    (clips / "folder.mp4").mkdir()
    table = "clip,question,options,answer\n" + "".join(f"{row}\n" for row in rows)
    (home.parent / "q.csv").write_text(table)
    return {
        "sources": ["folder"],
        "camerabench": None,
        "folder": {"clips": clips, "questions": home.parent / "q.csv"},
    }


def test_your_own_clips_get_traces_and_bad_ones_are_quarantined(
    home: Path, server: FakeServer
) -> None:
    server.reply = said
    bad = ("link.mp4", "folder.mp4", "none.mp4", "../network/train/b.mp4", "/etc/passwd")
    asked = [f"{clip},Pan?,pans left|pans right,pans left" for clip in ("a.mp4", *bad)]
    own = own_clips(home, *asked)
    with pytest.raises(QuarantineError, match="5 of 6 clips"):
        build(config(home, server, **own))
    assert build(config(home, server, **own, max_quarantined=0.9)) == {"sft": 1, "rl": 1, "test": 0}
    (taught,) = read_samples(home.parent / "out" / "sft.parquet")
    assert taught.clip == "folder/a.mp4" and taught.think
    assert (home.parent / "out" / taught.clip).is_file()
    report = json.loads((home.parent / "out" / "quarantine.json").read_text())
    assert report["clips"].keys() == {f"folder/{clip}" for clip in bad}


def test_a_folder_that_is_not_there_names_the_key(home: Path) -> None:
    own = own_clips(home, "a.mp4,Pan?,left|right,left")
    own["folder"]["clips"] = home / "nowhere"
    with pytest.raises(AnnotationsError, match=r"data\.folder\.clips"):
        build(config(home, **own))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_question_that_no_grader_can_score_is_refused_before_anything_is_fetched(
    home: Path, split: str
) -> None:
    own = own_clips(home, "a.mp4,Where does it pan?,,to the left")
    table = (home.parent / "q.csv").read_text().replace("answer\n", "answer,split,id\n")
    (home.parent / "q.csv").write_text(table.replace("to the left", f"to the left,{split},w"))
    asked = config(home, **own, tags=["answer"], scored=["rl", "test"])
    own_task = asked.model_copy(update={"open_tasks": ("multiple_choice",)})
    refused = r"'folder_w' \(folder/a.mp4\) has no options.*tasks.multiple_choice.grader"
    with pytest.raises(AnnotationsError, match=refused):
        check(asked)
    check(own_task)
    check(asked.model_copy(update={"scored": ()}))  # a reward of the user's own


def test_an_id_of_two_sources_is_refused(home: Path) -> None:
    table = home.parent / "more.py"
    table.write_text(
        "from data_builders.sample import Sample\n"
        "def more(out):\n"
        "    one = dict(id='folder_1', dataset='x', split='test', task='t', category='c',\n"
        "               media=(), question='q', options=('a', 'b'), answer='A')\n"
        "    return {'test': [Sample(**one)]}\n"
    )
    own = own_clips(home, "a.mp4,Pan?,left|right,left")
    own["sources"] = ["folder", f"{table}:more"]
    with pytest.raises(AnnotationsError, match=r"'folder_1' is in two .*, folder and .*more"):
        build(config(home, **own, tags=["answer"]))


def test_a_teacher_that_the_stage_serves_writes_all_the_same(
    home: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.reply = said
    began: list[str] = []

    @contextmanager
    def serve(spec: EndpointSpec, key: str, vllm: Path | None, output: Path) -> Iterator[None]:
        began.append(key)
        yield

    monkeypatch.setattr(teaching, "served", serve)
    asked = config(home, server)
    assert asked.teaching
    own = asked.teaching.trajectories
    here = {who: {**getattr(own, who).model_dump(), "serve": ()} for who in ("teacher", "judge")}
    trajectories = own.model_validate({**own.model_dump(), **here})
    teaching_here = asked.teaching.model_copy(update={"trajectories": trajectories})
    asked = asked.model_copy(update={"teaching": teaching_here})
    with pytest.raises(EndpointError, match=r"teacher\.serve: no vLLM at"):
        build(asked)
    (home.parent / "vllm").touch()
    assert build(asked)["sft"] == 5
    assert began == ["data.trajectories.teacher", "data.trajectories.judge"]
