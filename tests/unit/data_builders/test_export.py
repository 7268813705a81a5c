"""What each trainer reads."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_builders.export import to_easyr1, to_llamafactory, to_verl
from data_builders.frames import FrameCacheError, FrameIndex
from data_builders.media import image, video
from data_builders.sample import Sample, SampleError
from data_builders.specs import PromptSpec
from tests.givens import SPEC, frames_of, question

PROMPT = PromptSpec(system="Be brief.")


def sample(number: int = 0, **changes: object) -> Sample:
    trace = {"answer": "B", "observation": "o", "think": "t"}
    return question(number, **{**trace, **changes})


@pytest.fixture
def index(tmp_path: Path) -> FrameIndex:
    meta = frames_of(
        "k1",
        indices=(0, 3, 5, 8),
        fps=1.5,
        width=28,
        source_frames=9,
        source_height=112,
    )
    return FrameIndex(cache=tmp_path / "cache", spec=SPEC, clips={"a.mp4": meta})


def test_llamafactory_gets_the_trace_and_the_lossless_clip(
    index: FrameIndex, tmp_path: Path
) -> None:
    to_llamafactory([sample()], index, PROMPT, tmp_path / "sft", "camera")
    [row] = json.loads((tmp_path / "sft/camera.json").read_text())
    info = json.loads((tmp_path / "sft/dataset_info.json").read_text())["camera"]
    assert row["videos"] == [str(tmp_path / "cache/k1/clip.mp4")]
    assert row["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "<video>Does the camera pan left?\nA. Yes\nB. No"},
        {
            "role": "assistant",
            "content": "<observation>o</observation><think>t</think><answer>B</answer>",
        },
    ]
    assert info["file_name"] == "camera.json" and info["columns"]["videos"] == "videos"


def test_verl_gets_frames_fps_and_what_the_reward_needs(index: FrameIndex, tmp_path: Path) -> None:
    to_verl([sample(0), sample(1, id="other")], index, PROMPT, tmp_path / "rl.parquet")
    row = pq.read_table(tmp_path / "rl.parquet").to_pylist()[1]
    assert row["data_source"] == "binary"
    assert row["reward_model"] == {"style": "rule", "ground_truth": "B"}
    assert row["extra_info"] == {
        "index": 1,
        "sample_id": "other",
        "options": '["Yes", "No"]',
        "task": "binary",
        "facts": "{}",
        "provenance": "{}",
    }
    assert [turn["content"].count("<video>") for turn in row["prompt"]] == [0, 1]
    [video] = row["videos"]
    assert video["frames"] == str(tmp_path / "cache/k1/frames.rgb")
    assert (video["fps"], video["min_frames"], video["max_frames"]) == (1.5, 4, 4)
    assert video["min_pixels"] == video["max_pixels"] == 56 * 28


@pytest.fixture
def images(index: FrameIndex) -> FrameIndex:
    spec = SPEC.model_copy(update={"media": "images"})
    meta = index.meta("a.mp4").model_copy(update={"spec": spec, "images_sha256": ("",) * 4})
    return index.model_copy(update={"spec": spec, "clips": {"a.mp4": meta}})


def test_images_stand_where_the_video_would(images: FrameIndex, tmp_path: Path) -> None:
    to_llamafactory([sample()], images, PROMPT, tmp_path, "sft")
    to_verl([sample()], images, PROMPT, tmp_path / "rl.parquet")
    to_easyr1([sample()], images, PROMPT, tmp_path / "rl.json")
    [sft] = json.loads((tmp_path / "sft.json").read_text())
    [verl] = pq.read_table(tmp_path / "rl.parquet").to_pylist()
    [easyr1] = json.loads((tmp_path / "rl.json").read_text())
    info = json.loads((tmp_path / "dataset_info.json").read_text())["sft"]
    paths = [str(tmp_path / f"cache/k1/{number:04}.png") for number in range(4)]
    assert sft["images"] == easyr1["images"] == [i["image"] for i in verl["images"]] == paths
    assert info["columns"]["images"] == "images"
    assert sft["videos"] == verl["videos"] == [] and "videos" not in easyr1
    asked = "<image>" * 4 + "Does the camera pan left?\nA. Yes\nB. No"
    assert sft["messages"][1]["content"] == verl["prompt"][1]["content"] == asked
    assert easyr1["problem"] == asked


def test_easyr1_carries_the_options_within_the_answer(index: FrameIndex, tmp_path: Path) -> None:
    to_easyr1([sample()], index, PROMPT, tmp_path / "rl.json")
    [row] = json.loads((tmp_path / "rl.json").read_text())
    assert row["problem"].startswith("<video>Does the camera")
    assert json.loads(row["answer"]) == {
        "answer": "B",
        "options": ["Yes", "No"],
        "task": "binary",
        "sample_id": "s0",
        "facts": {},
        "provenance": {},
    }


def test_the_user_turn_is_the_same_text_everywhere(index: FrameIndex, tmp_path: Path) -> None:
    to_llamafactory([sample()], index, PROMPT, tmp_path, "sft")
    to_verl([sample()], index, PROMPT, tmp_path / "rl.parquet")
    to_easyr1([sample()], index, PROMPT, tmp_path / "rl.json")
    sft = json.loads((tmp_path / "sft.json").read_text())[0]["messages"][1]["content"]
    verl = pq.read_table(tmp_path / "rl.parquet").to_pylist()[0]["prompt"][1]["content"]
    easyr1 = json.loads((tmp_path / "rl.json").read_text())[0]["problem"]
    assert sft == verl == easyr1


def test_a_sample_whose_clip_has_no_frames_stops_the_export(
    index: FrameIndex, tmp_path: Path
) -> None:
    lost = sample(media=(video("lost.mp4"),))
    with pytest.raises(FrameCacheError, match=r"lost\.mp4"):
        to_verl([sample(), lost], index, PROMPT, tmp_path / "rl.parquet")
    assert not (tmp_path / "rl.parquet").exists()


KINDS = {
    "video": ((video("a.mp4"),), "<video>"),
    "image": ((image("i.png"),), "<image>"),
    "several": ((image("i.png"), image("j.png")), "<image><image>"),
    "both": ((image("i.png"), video("a.mp4")), "<image><video>"),
    "text": ((), ""),
}
"""Media, and the placeholders of the prompt."""


@pytest.fixture
def pictures(index: FrameIndex) -> FrameIndex:
    """The video beside two still images."""
    stills = {
        f"{name}.png": frames_of(name, spec=SPEC.of("image"), indices=(0,), images_sha256=("",))
        for name in "ij"
    }
    return index.model_copy(update={"clips": {**index.clips, **stills}})


def test_rows_of_all_kinds_make_one_file(pictures: FrameIndex, tmp_path: Path) -> None:
    asked = [sample(id=name, media=media) for name, (media, _) in KINDS.items()]
    to_llamafactory(asked, pictures, PROMPT, tmp_path, "sft")
    to_verl(asked, pictures, PROMPT, tmp_path / "rl.parquet")
    sft = json.loads((tmp_path / "sft.json").read_text())
    verl = pq.read_table(tmp_path / "rl.parquet").to_pylist()
    stills, clip = [str(tmp_path / f"cache/{n}/0000.png") for n in "ij"], "cache/k1/clip.mp4"
    for row, other, (_, places) in zip(sft, verl, KINDS.values(), strict=True):
        assert row["messages"][1]["content"].startswith(f"{places}Does the camera")
        assert row["messages"][:2] == other["prompt"]
        assert row["images"] == [image["image"] for image in other["images"]]
        assert row["images"] == stills[: places.count("<image>")]
        assert row["videos"] == [str(tmp_path / clip)] * places.count("<video>")


def test_a_question_says_where_its_media_stand(pictures: FrameIndex, tmp_path: Path) -> None:
    media = (image("i.png"), video("a.mp4"))
    asked = sample(media=media, question="Is <image> a frame of <video>?")
    to_llamafactory([asked], pictures, PROMPT, tmp_path, "sft")
    [row] = json.loads((tmp_path / "sft.json").read_text())
    assert row["messages"][1]["content"] == "Is <image> a frame of <video>?\nA. Yes\nB. No"


def test_facts_and_answers_of_any_kind_reach_the_prompt_and_the_reward(
    index: FrameIndex, tmp_path: Path
) -> None:
    facts = {"duration": 7.5, "map": {"table": [[0, 3]]}}
    asked = [
        sample(options=(), answer=answer, facts=facts, question="Where?")
        for answer in (3.5, {"box": [1, 2, 3, 4]}, "left")
    ]
    timed = PROMPT.model_copy(update={"template": "{facts[duration]} s. {question}"})
    to_verl(asked, index, timed, tmp_path / "rl.parquet")
    rows = pq.read_table(tmp_path / "rl.parquet").to_pylist()
    truths = [row["reward_model"]["ground_truth"] for row in rows]
    assert truths == ["3.5", '{"box": [1, 2, 3, 4]}', "left"]
    assert all(json.loads(row["extra_info"]["facts"]) == facts for row in rows)
    assert rows[0]["prompt"][1]["content"] == "<video>7.5 s. Where?"
    with pytest.raises(SampleError, match=r"'s0' has no fact 'duration'.*has none"):
        to_verl([sample()], index, timed, tmp_path / "rl.parquet")


def test_easyr1_takes_images_or_videos_beside_texts(pictures: FrameIndex, tmp_path: Path) -> None:
    asked = {name: sample(id=name, media=media) for name, (media, _) in KINDS.items()}
    for kinds, column in (("text image several", "images"), ("video text", "videos")):
        to_easyr1([asked[kind] for kind in kinds.split()], pictures, PROMPT, tmp_path / "rl.json")
        rows = json.loads((tmp_path / "rl.json").read_text())
        assert {*rows[0]} == {"problem", "answer", column}
        assert [len(row[column]) for row in rows] == [len(asked[k].media) for k in kinds.split()]
    for kinds in ("image video", "both"):
        with pytest.raises(
            SampleError, match=r"EasyR1 takes one or the other; set rl\.trainer=verl"
        ):
            to_easyr1([asked[k] for k in kinds.split()], pictures, PROMPT, tmp_path / "rl.json")
