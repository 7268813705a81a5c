"""Recipes of other systems run whole, shrunk, on stand-in files in their published rows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data_builders import SyntheticSpec, build_synthetic
from orchestrator.plan.stage import ROOT

pytestmark = pytest.mark.slow

SHRUNK = [
    "model.path=null", "model.revision=main", "model.build={hidden: 128, layers: 3}",
    "cluster.device=cpu", "cluster.nodes=1", "cluster.gpus_per_node=1", "cluster.cpus_per_stage=1",
    "data.workers=2", "frames.min_frames=4", "frames.max_frames=8", "frames.min_pixels=784",
    "frames.max_pixels=3136", "frames.image_max_pixels=3136",
    "sft.precision=fp32", "sft.zero_stage=null", "sft.gradient_checkpointing=false",
    "sft.max_steps=2", "sft.save_every=2", "sft.max_length=700", "sft.loader_workers=1",
    "sft.batch_size_per_device=2",
    "rl.rollout.engine=hf", "rl.rollout.top_p=1", "rl.precision=fp32", "rl.merge_dtype=fp32",
    "rl.gradient_checkpointing=false", "rl.padding_free=false", "rl.dynamic_batching=false",
    "rl.group_size=4", "rl.prompts_per_step=4", "rl.minibatch_prompts=4",
    "rl.microbatch_responses=4", "rl.logprob_microbatch_responses=16", "rl.max_steps=2",
    "rl.save_every=2", "rl.max_prompt_length=700", "rl.max_response_length=32",
    "sample.engine=hf", "sample.batch_size=16", "sample.max_new_tokens=32",
    "eval.engine=hf", "eval.external=[]", "eval.frames=null", "eval.batch_size=16",
    "eval.max_new_tokens=16", "eval.max_questions=4", "eval.synthetic.test_clips=9",
    "eval.synthetic.frames=8", "eval.synthetic.fps=2", "eval.synthetic.height=56",
    "eval.synthetic.width=56",
]  # fmt: skip
"""The sizes of the tiny model, in place of the system's."""

Rows = list[dict[str, Any]]


def spacer(clips: list[str]) -> dict[str, Rows]:
    """SpaceR-151k, two thirds of it about scenes whose maps are known."""
    kinds = [
        {"problem": "Which way is it?", "problem_type": "multiple choice",
         "options": ["A. left", "B. right"], "solution": "<answer>A</answer>"},
        {"problem": "How many boards are there?", "problem_type": "numerical", "options": [],
         "solution": "<answer>4</answer>"},
    ]  # fmt: skip
    rows = [
        {"problem_id": n, "data_type": "video", "process": "", "path": f"./{clip}",
         "data_source": "SR_dataset" if n % 3 else "other", **kinds[n % 2]}
        for n, clip in enumerate(clips)
    ]  # fmt: skip
    maps = [
        {"video_id": Path(clip).stem, "cognitive_map": {"board": [[1, 2]]}, "object_list": ["a"]}
        for clip in clips
    ]
    return {"SpaceR-151k.jsonl": rows, "annotation/cognitive_map.jsonl": maps}


def time_r1(clips: list[str]) -> dict[str, Rows]:
    """Clips with a sentence and the seconds when it happens.

    They are of several lengths: verl 0.9.1 fails on a batch whose rows are all as long (torch's
    nested tensors then take the wrong dimension of its position ids for the ragged one).
    """
    rows = [
        {"video": clip, "timestamp": [0.5, 2.5], "sentence": "It" + " turns" * (1 + n % 5),
         "duration": 4.0, "video_start": None, "video_end": None}
        for n, clip in enumerate(clips)
    ]  # fmt: skip
    return {"train_2k5.jsonl": rows}


RUNS: dict[str, tuple[Callable[[list[str]], dict[str, Rows]], str, list[str]]] = {
    "spacer_7b": (spacer, "spacer", []),
    "time_r1_3b": (
        time_r1,
        "time_r1",
        [
            "data.files.time_r1.sets.rl=train_2k5.jsonl",
            *(f"stages.{kind}{n}=null" for n in (2, 3, 4) for kind in ("sieve", "round")),
            "stages.round5.questions=sieve1", "rl.freeze_vision_tower=true",
        ],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    root = tmp_path_factory.mktemp("clips")
    spec = SyntheticSpec(sft_clips=0, rl_clips=24, test_clips=0, tasks=("binary",), seed=3)
    yield root, [sample.media[0].path for sample in build_synthetic(spec, root)]


@pytest.mark.parametrize("name", RUNS)
def test_a_system_runs_whole(name: str, clips: tuple[Path, list[str]], tmp_path: Path) -> None:
    make, source, own = RUNS[name]
    root, paths = clips
    for file, rows in make(paths).items():
        path = tmp_path / "rows" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    places = [
        f"runs_dir={tmp_path}", f"data.cache_dir={tmp_path}/frames",
        f"data.files.{source}.rows={tmp_path}/rows", f"data.files.{source}.clips={root}",
    ]  # fmt: skip
    command = [sys.executable, "-m", "orchestrator", "run", f"recipe={name}", *places]
    done = subprocess.run([*command, *SHRUNK, *own], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    last = "rl" if name == "spacer_7b" else "round5"
    lines = (tmp_path / name / last / "metrics.jsonl").read_text().splitlines()
    logged = json.loads(lines[-1])["data"]
    assert {"reward/accuracy", "reward/format"} <= logged.keys()
    if name == "spacer_7b":
        assert {"reward/length", "reward/map"} <= logged.keys()
    assert (tmp_path / name / "report" / "report.html").is_file()
