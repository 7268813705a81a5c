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
            clips = self._packed([*self.sft, *self.rl], "videos", ".zip")
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
        source = catalogue.SHOTBENCH.model_copy(update={"patterns": ("test.tsv", "videos.tar")})
        rows = [_shot(sample, number, "video") for number, sample in enumerate(choices)]
        files: dict[str, str | bytes] = {
            "test.tsv": _tsv(rows),
            "videos.tar": self._packed(choices, "videos", ".tar"),
        }
        self._put(source, self.downloads / "shotbench" / "movement", files)

    def shotbench(self) -> None:
        """ShotBench's questions, most of them on still images."""
        choices = [s for s in self.test if s.task == "multiple_choice"]
        videos, stills = choices[::4], [s for n, s in enumerate(choices) if n % 4]
        shown = [*((s, "video") for s in videos), *((s, "image") for s in stills)]
        rows = [_shot(sample, number, kind) for number, (sample, kind) in enumerate(shown)]
        files: dict[str, str | bytes] = {
            "test.tsv": _tsv(rows),
            "images.tar": self._packed(stills, "images", ".tar"),
            "videos.tar": self._packed(videos, "videos", ".tar"),
        }
        self._put(catalogue.SHOTBENCH, self.downloads / "shotbench" / "downloads", files)

    def shotqa(self) -> None:
        """ShotQA: chats on still images for SFT, on both for GRPO."""
        videos = self.rl[::2]
        stills = [s for s in self.rl if s not in videos]
        files: dict[str, str | bytes] = {
            "shotqa_sft.json": _json([_shot_chat(s, "image") for s in self.sft]),
            "shotqa_grpo.json": _json(
                [
                    *(_shot_chat(s, "video", "solution") for s in videos),
                    *(_shot_chat(s, "image", "solution") for s in stills),
                ]
            ),
            "images.zip": self._packed([*self.sft, *stills], "images", ".zip"),
            "videos.zip": self._packed(videos, "videos", ".zip"),
        }
        self._put(catalogue.SHOTQA, self.downloads / "shotqa" / "downloads", files)

    def _packed(self, samples: Sequence[Sample], folder: str, suffix: str) -> bytes:
        """An archive of the samples' clips, or of the first frame of each in `images`."""
        paths = {_name(sample): self.home / sample.clip for sample in samples}
        if folder == "images":
            files = {f"{folder}/{_still(name)}": _first_frame(p) for name, p in paths.items()}
        else:
            files = {f"{folder}/{name}": path.read_bytes() for name, path in paths.items()}
        return {".tar": _tarred, ".zip": _zipped}[suffix](files)

    def _put(self, repository: Repository, target: Path, files: Mapping[str, str | bytes]) -> None:
        if is_complete(repository, target):
            return
        for name, content in files.items():
            write_file(target / name, content)
        sizes = {name: (target / name).stat().st_size for name in files}
        list_files(repository, target, COMMIT, sizes)


WRITERS: dict[str, Callable[[StandIns], None]] = {
    "camerabench": StandIns.camerabench,
    "shotbench": StandIns.shotbench,
    "shotbench_camera_movement": StandIns.shotbench_movement,
    "shotqa": StandIns.shotqa,
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


def _shot(sample: Sample, number: int, kind: str) -> dict[str, object]:
    """A row of ShotBench's test.tsv."""
    name = f"videos/{_name(sample)}" if kind == "video" else f"images/{_still(_name(sample))}"
    return {
        "index": number,
        "type": json.dumps([kind]),
        "path": json.dumps([name]),
        "question": sample.question,
        "options": json.dumps(dict(zip(sample.letters, sample.options, strict=True))),
        "answer": sample.answer,
        "category": "camera movement",
    }


def _shot_chat(sample: Sample, kind: str, answer: str = "reply") -> dict[str, object]:
    """A row of ShotQA's, as ms-swift reads it; for GRPO the answer is its `solution`."""
    asked = "\n".join([f"Question: {sample.question}", "Options:", *_lettered(sample)])
    right = f"<answer>{sample.answer}</answer>"
    reply = [{"role": "assistant", "content": str(sample.answer)}] if answer == "reply" else []
    shown = {"video": {"videos": [_name(sample)]}, "image": {"images": [_still(_name(sample))]}}
    return {
        "messages": [{"role": "user", "content": f"<{kind}>{asked}"}, *reply],
        **shown[kind],
        **({"solution": right} if answer == "solution" else {}),
    }


def _still(name: str) -> str:
    return f"{PurePosixPath(name).stem}.png"


def _first_frame(clip: Path) -> bytes:
    """A PNG."""
    import av

    with av.open(str(clip)) as container:
        frame = next(container.decode(video=0))
    packed = io.BytesIO()
    frame.to_image().save(packed, "PNG")
    return packed.getvalue()


def _tsv(rows: Sequence[Mapping[str, object]]) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(rows[0]), delimiter="\t")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _zipped(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _tarred(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
