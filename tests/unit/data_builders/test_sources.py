from __future__ import annotations

import json
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from data_builders import catalogue, sources
from data_builders import fetch as net
from data_builders.annotations import AnnotationsError
from data_builders.media import video
from data_builders.sample import Sample
from data_builders.source_specs import Repository
from data_builders.sources import located
from tests.givens import question


def _sample(clip: str) -> Sample:
    return question(id=clip, split="test", media=(video(clip),))


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"clip")


def test_clips_are_found_however_deep_they_lie(tmp_path: Path) -> None:
    _touch(
        tmp_path, "cb/test/a.mp4", "cb/test/videos/x/b.mp4", "cb/train/b.mp4", "sb/images/q/i.jpg"
    )
    wanted = ["cb/test/a.mp4", "cb/test/b.mp4", "sb/image/i.jpg", "cb/test/none.mp4", "no/c.mp4"]
    assert [s.clip for s in located(map(_sample, wanted), tmp_path)] == [
        "cb/test/a.mp4",
        "cb/test/videos/x/b.mp4",
        "sb/images/q/i.jpg",
        "cb/test/none.mp4",
        "no/c.mp4",
    ]


def test_of_several_clips_of_a_name_the_path_says_which(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        _touch(tmp_path, f"cb/videos/{folder}/a.mp4")
        (tmp_path / f"cb/videos/{folder}/a.mp4").write_text(folder)
    (sample,) = located([_sample("cb/clips/y/a.mp4")], tmp_path)
    assert sample.clip == "cb/videos/y/a.mp4"


def test_copies_of_a_clip_are_one(tmp_path: Path) -> None:
    _touch(tmp_path, "cb/test/x/a.mp4", "cb/test/y/a.mp4")
    assert located([_sample("cb/test/a.mp4")], tmp_path)[0].clip == "cb/test/x/a.mp4"


def test_different_clips_of_one_name_are_an_error(tmp_path: Path) -> None:
    _touch(tmp_path, "cb/test/x/a.mp4", "cb/test/y/a.mp4")
    (tmp_path / "cb/test/y/a.mp4").write_text("another")
    with pytest.raises(AnnotationsError, match="could be any of"):
        located([_sample("cb/test/a.mp4")], tmp_path)


class Network:
    """Stands in for both homes of data: `fetch` copies a prepared folder."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders

    def fetch(self, source: Repository, target: Path, meter: object = None) -> Path:
        target.mkdir(parents=True, exist_ok=True)
        for path in self.folders[source.repo].rglob("*"):
            if path.is_file():
                copy = target / path.relative_to(self.folders[source.repo])
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        return target


def test_camerabench_comes_with_its_clips(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = "IWv0EhEGmNI.16.6.mp4"
    _touch(tmp_path / "hub", f"videos/{clip}")
    (tmp_path / "github" / "camerabench").mkdir(parents=True)
    shutil.copytree(published / "camerabench", tmp_path / "github" / "camerabench" / "data")
    homes = {
        catalogue.CAMERABENCH_TEST_CLIPS.repo: tmp_path / "hub",
        catalogue.CAMERABENCH_ANNOTATIONS.repo: tmp_path / "github",
    }
    monkeypatch.setattr(net, "fetch", Network(homes).fetch)
    samples = sources.camerabench_test(tmp_path / "data")
    assert Counter(s.dataset for s in samples) == {
        "camerabench_binary": 7679,
        "camerabench_vqa_match": 7086,
    }
    there = {s.clip for s in samples if s.clip.endswith(clip)}
    assert there == {f"camerabench/test/videos/{clip}"}
    released = sources.camerabench_test(tmp_path / "data", "as_released")
    assert len(released) == 7679 + 14_172


def test_training_questions_find_their_unpacked_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    with zipfile.ZipFile(tmp_path / "hub" / "videos.zip", "w") as zipped:
        zipped.writestr("cam/v1.mp4", b"clip")
    network = Network({catalogue.CAMERABENCH_TRAIN_CLIPS.repo: tmp_path / "hub"})
    monkeypatch.setattr(net, "fetch", network.fetch)
    annotations = tmp_path / "annotations"
    for folder in ("binary_classification", "vqa_and_retrieval/has_motion"):
        (annotations / folder).mkdir(parents=True)
    row = {"image": "v1.mp4", "question": "Does it pan?", "label": "No"}
    (annotations / "binary_classification" / "Pan_Left.jsonl").write_text(json.dumps(row))
    pair = dict.fromkeys(("pos_video", "neg_video"), "v1.mp4") | {"pos_text": "a", "neg_text": "b"}
    (annotations / "vqa_and_retrieval" / "has_motion" / "x.jsonl").write_text(json.dumps(pair))
    samples = sources.camerabench_train(tmp_path / "data", annotations)
    assert Counter(s.task for s in samples) == {"binary": 1, "multiple_choice": 2}
    assert {(s.clip, s.split) for s in samples} == {("camerabench/train/cam/v1.mp4", "train")}
    assert (tmp_path / "data" / samples[0].clip).read_bytes() == b"clip"


def test_shotbench_comes_with_refineshot_and_media(
    refined_tsv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = refined_tsv.read_text().splitlines()
    rows = [line for line in lines[1:] if "camera movement" in line][:2]
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "test.tsv").write_text("\n".join([lines[0], *rows]) + "\n")
    for media in ("images", "videos"):
        with tarfile.open(tmp_path / "hub" / f"{media}.tar", "w") as tarred:
            tarred.addfile(tarfile.TarInfo(f"{media}/empty"))
    network = Network({catalogue.SHOTBENCH.repo: tmp_path / "hub"})
    monkeypatch.setattr(net, "fetch", network.fetch)
    samples = sources.shotbench_test(tmp_path / "data")
    refined = sources.refineshot_test(tmp_path / "data")
    assert [s.dataset for s in samples + refined] == ["shotbench"] * 2 + ["refineshot"] * 2
    assert len({s.id for s in samples + refined}) == 4
    assert (tmp_path / "data/shotbench/videos/videos/empty").is_file()


def test_the_movement_questions_come_without_the_images(
    refined_tsv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "test.tsv").write_text(refined_tsv.read_text())
    with tarfile.open(tmp_path / "hub" / "videos.tar", "w") as tarred:
        tarred.addfile(tarfile.TarInfo("videos/empty"))
    asked: list[Repository] = []

    def fetch(source: Repository, target: Path, meter: object = None) -> Path:
        asked.append(source)
        return Network({catalogue.SHOTBENCH.repo: tmp_path / "hub"}).fetch(source, target)

    monkeypatch.setattr(net, "fetch", fetch)
    samples = sources.shotbench_movement(tmp_path / "data")
    assert len(samples) == 464 and {s.category for s in samples} == {"camera_movement"}
    assert asked[0].patterns == ("test.tsv", "videos.tar")
    assert asked[0].revision == catalogue.SHOTBENCH.revision


def test_motionbench_fetches_its_questions_and_the_clips_they_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Repository] = []
    row = {
        "video_path": "a.mp4", "question_type": "Camera Motion",
        "qa": [{"uid": 1, "question": "Which way?\nA. left\nB. right", "answer": "B"}],
    }  # fmt: skip
    home = tmp_path / "hub" / "MotionBench"
    home.mkdir(parents=True)
    (home / "video_info.meta.jsonl").write_text(json.dumps(row) + "\n")
    _touch(home, "self-collected/a.mp4", "self-collected/b.mp4")

    def fetch(source: Repository, target: Path, meter: object = None) -> Path:
        asked.append(source)
        return Network({catalogue.MOTIONBENCH.repo: tmp_path / "hub"}).fetch(source, target)

    monkeypatch.setattr(net, "fetch", fetch)
    (sample,) = sources.motionbench_test(tmp_path / "data")
    assert sample.clip == "motionbench/clips/MotionBench/self-collected/a.mp4"
    assert [s.patterns for s in asked] == [("*/video_info.meta.jsonl",), ("MotionBench/*/a.mp4",)]


def test_shotqa_finds_each_stages_file_and_its_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hub").mkdir()
    for name, media in (("shotqa_sft.jsonl", "images"), ("grpo_8k.json", "videos")):
        turns = [
            {"role": "user", "content": "Which shot size?\nA. Wide\nB. Close-up"},
            {"role": "assistant", "content": "A"},
        ]
        row = {"messages": turns, media: [f"{media}/film/1.x"]}
        (tmp_path / "hub" / name).write_text(json.dumps(row))
        with tarfile.open(tmp_path / "hub" / f"{media}.tar", "w") as tarred:
            for film in ("film", "other"):
                tarred.addfile(tarfile.TarInfo(f"{media}/{film}/1.x"))
    network = Network({catalogue.SHOTQA.repo: tmp_path / "hub"})
    monkeypatch.setattr(net, "fetch", network.fetch)
    train = sources.shotqa_train(tmp_path / "data", "*sft*.json*", "*grpo*.json*")
    assert [s.clip for s in train["sft"]] == ["shotqa/media/images/images/film/1.x"]
    assert [s.clip for s in train["rl"]] == ["shotqa/media/videos/videos/film/1.x"]
    assert train["sft"][0].id != train["rl"][0].id
    with pytest.raises(AnnotationsError, match=r"data\.shotqa\.rl_file: 0 files.*grpo_8k\.json"):
        sources.shotqa_train(tmp_path / "data", "*sft*", "*dpo*")
