"""Render the clips of a `SyntheticSpec` and ask the questions about them."""

from __future__ import annotations

import functools
import hashlib
import json
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_builders.media import video
from data_builders.sample import Sample
from data_builders.specs import MotionName, SyntheticSpec
from data_builders.synthetic.camera import CameraPath, camera_path, kind_of, motions_of
from data_builders.synthetic.questions import ask, trace
from data_builders.synthetic.scene import (
    Frames,
    Textures,
    make_textures,
    random_room,
    render,
    set_moving,
)
from reward_plugins.files import replacement, write_file

Use = Literal["sft", "rl", "test"]
USES: tuple[Use, ...] = ("sft", "rl", "test")
Progress = Callable[[int, int], None]
"""Called with the number of clips that exist and the number wanted."""

_QUESTIONS, _TEXTURES, _CLIP, _SECOND, _OBJECTS = range(5)
"""Streams of random numbers: asking more questions never changes a clip, nor does a second motion
or a moving thing in one clip change another."""
_CHUNK = 16


@dataclass(frozen=True)
class Job:
    """One clip to render."""

    use: Use
    index: int
    motion: MotionName
    path: str
    """Relative to the data root."""


def build(
    spec: SyntheticSpec, out: Path, workers: int = 1, progress: Progress | None = None
) -> Iterator[Sample]:
    """Render what is missing of the clips under `out`, then yield the samples.

    A clip's name holds a digest of all that shaped it, and it appears under that name only when
    complete: a killed build goes on where it was, a changed spec never meets stale clips.
    """
    jobs = plan_clips(spec)
    _render_missing(spec, jobs, out, workers, progress or (lambda done, total: None))
    return (sample for job in jobs for sample in questions_about(spec, job))


def plan_clips(spec: SyntheticSpec) -> list[Job]:
    """The clips of all uses; motions take turns, so that they are equally many."""
    counts = {"sft": spec.sft_clips, "rl": spec.rl_clips, "test": spec.test_clips}
    folder = f"clips/{_digest(spec)}"
    return [
        Job(use, i, spec.motions[i % len(spec.motions)], f"{folder}/{use}_{i:06d}.mp4")
        for use in USES
        for i in range(counts[use])
    ]


def render_job(spec: SyntheticSpec, job: Job) -> Frames:
    """Frames (T, H, W, 3) of a clip; the same bytes whenever and wherever it is rendered."""
    rng, path = _scene(spec, job)
    room = random_room(spec.textures, rng)
    if is_distracted(spec, job):
        room = set_moving(
            room, spec.frames, spec.speed, _random(spec, job.use, _OBJECTS, job.index)
        )
    return render(room, path, _textures(spec, job.use), spec.height, spec.width, spec.rays)


def _render_missing(
    spec: SyntheticSpec, jobs: list[Job], out: Path, workers: int, progress: Progress
) -> None:
    missing = [job for job in jobs if not (out / job.path).exists()]
    done = len(jobs) - len(missing)
    progress(done, len(jobs))
    if not missing:
        return
    (out / missing[0].path).parent.mkdir(parents=True, exist_ok=True)
    chunks = [missing[i : i + _CHUNK] for i in range(0, len(missing), _CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        for finished in pool.map(functools.partial(_write_clips, spec, out), chunks):
            done += finished
            progress(done, len(jobs))


def _write_clips(spec: SyntheticSpec, out: Path, jobs: list[Job]) -> int:
    for job in jobs:
        _write_path(out / job.path, spec, job)  # first: where the clip is, its path is
        _write_mp4(out / job.path, render_job(spec, job), spec.fps)
    return len(jobs)


def _write_mp4(path: Path, frames: Frames, fps: int) -> None:
    """H.264, bit for bit repeatable.

    One thread, and no look-ahead (as in preset ultrafast): for frames this small x264's
    look-ahead reads uninitialised memory, and the bytes would differ from run to run.
    """
    import av

    options = {"crf": "10", "preset": "ultrafast", "threads": "1"}
    with replacement(path) as partial, av.open(str(partial), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def _write_path(clip: Path, spec: SyntheticSpec, job: Job) -> None:
    """The camera path as JSON beside the clip: radians, metres, focal length in frame widths."""
    path = _scene(spec, job)[1]
    facts = {
        "motions": motions_of(path),
        "moving_object": is_distracted(spec, job),
        "fps": spec.fps,
        "axes": "x right, y down, z forward",
        **{name: values.tolist() for name, values in vars(path).items()},
    }
    write_file(clip.with_suffix(".json"), json.dumps(facts) + "\n")


def is_distracted(spec: SyntheticSpec, job: Job) -> bool:
    """Whether a thing moves by itself in this clip."""
    return _drawn(spec.moving_objects, _random(spec, job.use, _OBJECTS, job.index, 0))


def _drawn(share: float, rng: np.random.Generator) -> bool:
    return share > 0 and bool(rng.random() < share)


def questions_about(spec: SyntheticSpec, job: Job) -> Iterator[Sample]:
    """The questions about one clip; the truth is read from its camera path."""
    made, distracted = motions_of(_scene(spec, job)[1]), is_distracted(spec, job)
    facts = {"moving_object": "yes"} if distracted else {}
    rng = _random(spec, job.use, _QUESTIONS, job.index)
    for task in spec.tasks:
        hard = _drawn(spec.hard_pairs, rng)
        question = ask(task, made, spec.motions, spec.choices, rng, hard)
        terse = rng.random() < spec.terse_traces
        text = trace(made, question, terse, distracted) if job.use == "sft" else (None, None)
        yield Sample(
            id=f"synthetic/{job.use}/{job.index:06d}/{task}",
            dataset="synthetic",
            split="test" if job.use == "test" else "train",
            task=task,
            category="+".join(made),
            media=(video(job.path),),
            question=question.text,
            options=question.options,
            answer=question.answer,
            observation=text[0],
            think=text[1],
            provenance={"use": job.use, "seed": str(spec.seed), **facts},
        )


def _scene(spec: SyntheticSpec, job: Job) -> tuple[np.random.Generator, CameraPath]:
    rng = _random(spec, job.use, _CLIP, job.index)
    also = _second(spec, job)
    return rng, camera_path(job.motion, spec.frames, spec.speed, rng, also)


def _second(spec: SyntheticSpec, job: Job) -> MotionName | None:
    """The other motion of a compound clip."""
    rng = _random(spec, job.use, _SECOND, job.index)
    kinds = ("static", kind_of(job.motion))
    others = [motion for motion in spec.motions if kind_of(motion) not in kinds]
    if job.motion == "static" or not others or not _drawn(spec.compound, rng):
        return None
    return others[rng.integers(len(others))]


@functools.lru_cache(maxsize=len(USES))
def _textures(spec: SyntheticSpec, use: Use) -> Textures:
    return make_textures(spec.textures, _random(spec, use, _TEXTURES))


def _random(spec: SyntheticSpec, use: Use, *stream: int) -> np.random.Generator:
    return np.random.default_rng([spec.seed, USES.index(use), *stream])


def _digest(spec: SyntheticSpec) -> str:
    """Of the fields that shape a clip: not how many there are, nor what is asked."""
    unseen = {"sft_clips", "rl_clips", "test_clips", "tasks", "choices", "terse_traces"}
    unseen |= {"hard_pairs"} | {f for f in ("compound", "moving_objects") if not getattr(spec, f)}
    fields = spec.model_dump(mode="json", exclude=unseen)
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]
