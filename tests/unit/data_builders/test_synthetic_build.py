from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest

from data_builders.sample import Sample
from data_builders.specs import MOTIONS, MotionName, SyntheticSpec
from data_builders.synthetic.build import build, plan_clips, render_job
from data_builders.synthetic.questions import WORDINGS, name

SPEC = SyntheticSpec(sft_clips=15, rl_clips=15, test_clips=15)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Sample]]:
    out = tmp_path_factory.mktemp("data")
    return out, list(build(SPEC, out, workers=2))


def test_every_byte_follows_from_the_seed(
    built: tuple[Path, list[Sample]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a byte come from memory that nobody initialised, which glibc fills here."""
    out, samples = built
    monkeypatch.setenv("MALLOC_PERTURB_", "170")
    assert list(build(SPEC, tmp_path, workers=1)) == samples
    assert _digests(tmp_path) == _digests(out)


def test_another_seed_is_another_clip() -> None:
    other = SPEC.model_copy(update={"seed": 1})
    job, changed = plan_clips(SPEC)[0], plan_clips(other)[0]
    assert job.path != changed.path
    assert not np.array_equal(render_job(SPEC, job), render_job(other, changed))


def test_clips_decode_to_what_was_rendered(built: tuple[Path, list[Sample]]) -> None:
    out, _ = built
    job = plan_clips(SPEC)[1]
    with av.open(str(out / job.path)) as container:
        rate = container.streams.video[0].average_rate
        frames = np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    rendered = render_job(SPEC, job)
    assert (rate, frames.shape) == (SPEC.fps, (SPEC.frames, SPEC.height, SPEC.width, 3))
    assert np.abs(frames.astype(int) - rendered).mean() < 8  # chroma is subsampled


def test_a_killed_build_goes_on_and_renders_nothing_twice(tmp_path: Path) -> None:
    list(build(SPEC, tmp_path))
    kept, lost = (tmp_path / job.path for job in plan_clips(SPEC)[:2])
    kept.write_bytes(b"already there")
    expected = lost.read_bytes()
    lost.unlink()
    seen: list[tuple[int, int]] = []
    list(build(SPEC, tmp_path, progress=lambda done, total: seen.append((done, total))))
    assert (kept.read_bytes(), lost.read_bytes()) == (b"already there", expected)
    assert seen == [(44, 45), (45, 45)]


def test_uses_share_no_clip_and_only_sft_has_traces(
    built: tuple[Path, list[Sample]],
) -> None:
    out, samples = built
    clips = {
        use: {s.clip for s in samples if s.provenance["use"] == use}
        for use in ("sft", "rl", "test")
    }
    contents = {use: {_digest(out / clip) for clip in names} for use, names in clips.items()}
    assert not contents["sft"] & contents["rl"]
    assert not (contents["sft"] | contents["rl"]) & contents["test"]
    assert {s.provenance["use"] for s in samples if s.think is not None} == {"sft"}
    assert {s.provenance["use"] for s in samples if s.split == "test"} == {"test"}


def test_motions_are_balanced_and_named_after_the_path(
    built: tuple[Path, list[Sample]],
) -> None:
    _, samples = built
    test = [s for s in samples if s.split == "test" and s.task == "binary"]
    assert Counter(s.category for s in test) == Counter(MOTIONS)


def test_answers_are_true_and_letters_tell_nothing() -> None:
    spec = SyntheticSpec(sft_clips=1500, rl_clips=0, test_clips=0)
    samples = _samples_only(spec)
    for sample in samples:
        motion: MotionName = sample.category  # type: ignore[assignment]
        if sample.task == "binary":
            asks_for_it = sample.question == WORDINGS[motion].question
            assert sample.answer_text == ("Yes" if asks_for_it else "No")
        else:
            assert sample.answer_text == name(motion)
            assert len(set(sample.options)) == spec.choices
    for task, letters in (("binary", "AB"), ("multiple_choice", "ABCD")):
        counts = Counter(s.answer for s in samples if s.task == task)
        assert all(abs(counts[a] / 1500 - 1 / len(letters)) < 0.05 for a in letters)


def test_so_many_traces_are_terse_as_asked_and_the_questions_stay() -> None:
    spec = SyntheticSpec(sft_clips=1000, rl_clips=0, test_clips=0, terse_traces=0.6)
    samples = _samples_only(spec)
    terse = [s for s in samples if s.think == name(s.category)]  # type: ignore[arg-type]
    assert abs(len(terse) / len(samples) - 0.6) < 0.04
    patient = _samples_only(spec.model_copy(update={"terse_traces": 0.0}))
    assert [(s.question, s.options, s.clip) for s in patient] == [
        (s.question, s.options, s.clip) for s in samples
    ]


def _samples_only(spec: SyntheticSpec) -> list[Sample]:
    from data_builders.synthetic.build import questions_about

    return [sample for job in plan_clips(spec) for sample in questions_about(spec, job)]


def _digests(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): _digest(p) for p in sorted(root.rglob("*")) if p.is_file()}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
