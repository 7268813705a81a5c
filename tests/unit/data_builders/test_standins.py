"""What stands in for published files is read by their readers, without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from data_builders import repositories, sources
from data_builders.annotations import AnnotationsError
from data_builders.sample import Sample
from data_builders.specs import SyntheticSpec
from data_builders.standins import StandIns
from orchestrator.recipe import load_recipe

SPEC = SyntheticSpec(
    motions=("pan_left", "pan_right"),
    sft_clips=2,
    rl_clips=4,
    test_clips=4,
    terse_traces=1,
    frames=2,
    textures=4,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> StandIns:
    return StandIns(SPEC, tmp_path_factory.mktemp("downloads"), workers=1)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: object) -> None:
        raise AssertionError("asks the network")

    monkeypatch.setattr(repositories, "files_of", refuse)
    yield


def all_there(samples: list[Sample], root: Path) -> bool:
    return bool(samples) and all((root / item.path).is_file() for s in samples for item in s.media)


def test_the_papers_questions(made: StandIns) -> None:
    files = load_recipe("camreasoner_7b").data.files
    assert files is not None
    spec = files["camreasoning"]
    made.write("camreasoning", spec)
    home = made.downloads / "camerabench" / "camreasoning"
    questions, clips = sources.files("camreasoning", spec, home, most=0)
    assert len(questions["sft"]) == 4 and len(questions["rl"]) == 8
    assert all(s.observation and s.think for s in questions["sft"])
    assert {s.task for s in questions["rl"]} == {"binary", "multiple_choice"}
    answers = [(s.question, s.options, s.answer) for s in questions["rl"]]
    assert answers == [(s.question, s.options, s.answer) for s in made.rl]
    assert all(all_there(rows, clips) for rows in questions.values())


def test_camerabench(made: StandIns) -> None:
    made.write("camerabench")
    samples = sources.camerabench_test(made.downloads)
    assert {s.task for s in samples} == {"binary", "multiple_choice"}
    assert all_there(samples, made.downloads)


def test_shotbench_and_its_camera_movement(made: StandIns) -> None:
    for name, read in (
        ("shotbench_camera_movement", sources.shotbench_movement),
        ("shotbench", sources.shotbench_test),
    ):
        made.write(name)
        samples = read(made.downloads)
        assert len(samples) == 4 and all_there(samples, made.downloads)
    assert {item.kind for s in samples for item in s.media} == {"image", "video"}


def test_shotqa(made: StandIns) -> None:
    made.write("shotqa")
    own = load_recipe("shotvl_3b").data.shotqa
    assert own is not None
    sets = sources.shotqa_train(made.downloads, own.sft_file, own.rl_file)
    assert len(sets["sft"]) == 4 and len(sets["rl"]) == 8
    assert {item.kind for s in sets["rl"] for item in s.media} == {"image", "video"}
    assert [s.answer for s in sets["sft"]] == [s.answer for s in made.sft]
    assert all(all_there(rows, made.downloads) for rows in sets.values())


def test_what_has_no_stand_ins_is_told(made: StandIns) -> None:
    with pytest.raises(AnnotationsError, match="no stand-ins for motionbench_camera"):
        made.write("motionbench_camera")
