"""Stand-ins for published files, in their formats: rendered clips, questions about them.

They are put where fetched files are kept, and listed as fetched: what reads the published ones
reads these, without a network.
"""

from __future__ import annotations

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from data_builders import catalogue
from data_builders.annotations import AnnotationsError
from data_builders.fetch import is_complete, list_files
from data_builders.prompt import trace_text
from data_builders.sample import Sample
from data_builders.source_specs import FilesSpec, Repository
from data_builders.specs import PromptSpec, SyntheticSpec
from data_builders.synthetic.build import build
from reward_plugins.files import write_file

COMMIT = "stand-in"
INSTRUCTIONS = "Please give the option letter within <answer> </answer>."


class StandIns:
    """Clips of three uses, and the published files that are made of them."""

    def __init__(self, spec: SyntheticSpec, downloads: Path, workers: int) -> None:
        self.downloads, self.home = downloads, downloads / "stand-ins"
        samples = list(build(spec, self.home, workers))
        self.sft = [s for s in samples if s.think is not None]
        self.rl = [s for s in samples if s.split == "train" and s.think is None]
        self.test = [s for s in samples if s.split == "test"]

    def write(self, source: str, files: FilesSpec | None = None) -> None:
        """What `source` fetches; `AnnotationsError` for one that has no stand-ins."""
        if files is not None:
            return self._files(source, files)
        if source not in WRITERS:
            known = ", ".join(WRITERS)
            raise AnnotationsError(f"no stand-ins for {source}: leave it out; known: {known}")
        return WRITERS[source](self)

    def _files(self, name: str, spec: FilesSpec) -> None:
        home = self.downloads / (spec.collection or name) / name
        rows = {
            file: _json([_chat(s) if s.think else _row(s) for s in getattr(self, use)])
            for use, file in spec.sets.items()
        }
        if isinstance(spec.rows, Repository):
            self._put(spec.rows, home / "rows", rows)
        if isinstance(spec.clips, Repository):
            clips = _zipped([*self.sft, *self.rl], self.home)
            self._put(spec.clips, home / "clips", {"videos.zip": clips})

    def camerabench(self) -> None:
        """Annotations in the layout of t2v_metrics, and the test clips."""
        folder, root = "camerabench/data", self.downloads / "camerabench"
        binary = [s for s in self.test if s.task == "binary"]
        rows = [
            {
                "image": _name(s),
                "question": s.question,
                "label": _right(s),
                "label_name": s.category,
            }
            for s in binary
        ]
        pairs = [_pair(one, other) for one, other in zip(binary[::2], binary[1::2], strict=False)]
        texts: dict[str, str | bytes] = {
            f"{folder}/binary_classification/{binary[0].category}.jsonl": _lines(rows),
            f"{folder}/vqa_and_retrieval/has_motion/has_motion.jsonl": _lines(pairs),
        }
        self._put(catalogue.CAMERABENCH_ANNOTATIONS, root / "annotations", texts)
        clips = {_name(s): (self.home / s.clip).read_bytes() for s in binary}
        self._put(catalogue.CAMERABENCH_TEST_CLIPS, root / "test", clips)

    def shotbench_movement(self) -> None:
        """ShotBench's questions about camera movement, and their clips."""
        choices = [s for s in self.test if s.task == "multiple_choice"]
        rows = [
            {
                "index": number,
                "type": json.dumps(["video"]),
                "path": json.dumps([f"videos/{_name(s)}"]),
                "question": s.question,
                "options": json.dumps(dict(zip(s.letters, s.options, strict=True))),
                "answer": s.answer,
                "category": "camera movement",
            }
            for number, s in enumerate(choices)
        ]
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(rows[0]), delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
        source = catalogue.SHOTBENCH.model_copy(update={"patterns": ("test.tsv", "videos.tar")})
        files: dict[str, str | bytes] = {
            "test.tsv": table.getvalue(),
            "videos.tar": _tarred(choices, self.home),
        }
        self._put(source, self.downloads / "shotbench" / "movement", files)

    def _put(self, repository: Repository, target: Path, files: Mapping[str, str | bytes]) -> None:
        if is_complete(repository, target):
            return
        for name, content in files.items():
            write_file(target / name, content)
        sizes = {name: (target / name).stat().st_size for name in files}
        list_files(repository, target, COMMIT, sizes)


WRITERS: dict[str, Callable[[StandIns], None]] = {
    "camerabench": StandIns.camerabench,
    "shotbench_camera_movement": StandIns.shotbench_movement,
}
"""By source, what writes its stand-ins."""


def _chat(sample: Sample) -> dict[str, object]:
    """A row of LLaMA-Factory's sharegpt, as CamReasoning-SFT-18k."""
    reply = trace_text(sample, PromptSpec())
    turns = [{"role": "user", "content": f"<video>{_asked(sample)}"}]
    return {
        "messages": [*turns, {"role": "assistant", "content": reply}],
        "videos": [_name(sample)],
    }


def _row(sample: Sample) -> dict[str, object]:
    """A row of EasyR1's, as CamReasoning-RL-38k."""
    return {
        "problem": sample.question,
        "options": _lettered(sample),
        "answer": f"<answer>{sample.answer}</answer>",
        "data_type": "video",
        "problem_type": "multiple choice",
        "videos": [_name(sample)],
    }


def _asked(sample: Sample) -> str:
    return "\n".join([sample.question, *_lettered(sample), INSTRUCTIONS])


def _lettered(sample: Sample) -> list[str]:
    return [f"{a}. {text}" for a, text in zip(sample.letters, sample.options, strict=True)]


def _right(sample: Sample) -> str:
    return sample.options[sample.letters.index(str(sample.answer))]


def _pair(one: Sample, other: Sample) -> dict[str, str]:
    return {
        "pos_text": f"The camera motion is: {one.category}.",
        "neg_text": f"The camera motion is: {other.category}, seen from afar.",
        "pos_video": _name(one),
        "neg_video": _name(other),
    }


def _name(sample: Sample) -> str:
    return PurePosixPath(sample.clip).name


def _json(rows: Sequence[object]) -> str:
    return json.dumps(rows, indent=1)


def _lines(rows: Sequence[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _clips(samples: Sequence[Sample], home: Path) -> dict[str, Path]:
    return {_name(sample): home / sample.clip for sample in samples}


def _zipped(samples: Sequence[Sample], home: Path) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, path in _clips(samples, home).items():
            archive.write(path, f"videos/{name}")
    return packed.getvalue()


def _tarred(samples: Sequence[Sample], home: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, path in _clips(samples, home).items():
            archive.add(path, f"videos/{name}")
    return packed.getvalue()
