"""Time the data builders: `python -m bench.bench_data`.

CAMREASONER_SHARED_DATA may name a folder that holds CameraBench's published annotation files in
`camerabench`; without it, files of the same size are made up. Times are processor seconds; memory
is the process's peak.
"""

from __future__ import annotations

import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bench.figures import figure, say
from data_builders import camerabench
from data_builders.audit import audit
from data_builders.sample import Sample, read_samples, write_samples
from data_builders.specs import SyntheticSpec
from data_builders.synthetic.build import build as build_synthetic

Made = TypeVar("Made")

MOTIONS, CLIPS_A_MOTION = 15, 512
TASKS, PAIRS_A_TASK = 81, 44
CLIPS = 600


def timed(what: str, work: Callable[[], Made]) -> Made:
    """What `work` returns; prints how long it took and the peak memory so far."""
    start = time.process_time()
    made = work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figure(what, time.process_time() - start, "s")
    figure(f"{what}: peak memory so far", peak, "MB")
    return made


def made_up(folder: Path) -> Path:
    """Annotation files of about the published size: 7,680 rows and 3,564 pairs."""
    rows = [
        {"image": f"{n:04}.mp4", "question": "Does the camera pan to the left?", "label": "No"}
        for n in range(CLIPS_A_MOTION)
    ]
    pairs = [
        {
            "pos_text": "Does the camera pan to the left of the scene, and only that?",
            "neg_text": "Does the camera pan to the right of the scene, and only that?",
            "pos_video": f"{n:04}.mp4",
            "neg_video": f"{n + 99:04}.mp4",
        }
        for n in range(PAIRS_A_TASK)
    ]
    for number in range(MOTIONS):
        _write(folder / "binary_classification" / f"Motion_{number}.jsonl", rows)
    for number in range(TASKS):
        _write(folder / "vqa_and_retrieval" / "skill" / f"task_{number}.jsonl", pairs)
    return folder


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def bench_synthetic(out: Path) -> None:
    """Print clips a second of one core, start of the worker process included."""
    spec = SyntheticSpec(sft_clips=CLIPS, rl_clips=0, test_clips=0)
    before = _of_children()
    list(build_synthetic(spec, out, workers=1))
    seconds = _of_children() - before
    figure("synthetic clips of 8 x 56 x 56 px, a core (bound: 40/s)", CLIPS / seconds, "/s")


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    shared = os.environ.get("CAMREASONER_SHARED_DATA")
    with tempfile.TemporaryDirectory() as scratch:
        made = "published" if shared else "made-up"
        annotations = Path(shared) / "camerabench" if shared else made_up(Path(scratch) / "made_up")
        say(f"CameraBench from {made} annotations")

        def build() -> list[Sample]:
            return [*camerabench.binary(annotations), *camerabench.vqa_match(annotations)]

        samples = timed("binary + vqa (bound: 3 s, 500 MB)", build)
        if shared:
            timed("vqa as released, hash checked", lambda: camerabench.vqa_as_released(annotations))
        say(f"{len(samples):,} samples")
        parquet = Path(scratch) / "samples.parquet"
        timed("write Parquet", lambda: write_samples(parquet, samples))
        timed("read Parquet", lambda: read_samples(parquet))
        timed("audit", lambda: audit(samples))
        bench_synthetic(Path(scratch) / "clips")


if __name__ == "__main__":
    main()
