"""Published data sets, from their home on the network to samples whose clips are on disk."""

from __future__ import annotations

import filecmp
from collections.abc import Callable, Iterable
from functools import cache
from glob import escape
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Literal

from data_builders import (
    camerabench,
    catalogue,
    motionbench,
    refineshot,
    rows,
    shotbench,
    shotqa,
)
from data_builders import fetch as net
from data_builders.annotations import AnnotationsError
from data_builders.archives import SUFFIXES, extract
from data_builders.fetch import Meter
from data_builders.media import Item
from data_builders.sample import Sample
from data_builders.source_specs import FilesSpec, Repository

VqaBuild = Literal["match", "as_released", "yes_no"]
_VQA: dict[VqaBuild, Callable[[Path], list[Sample]]] = {
    "match": camerabench.vqa_match,
    "as_released": camerabench.vqa_as_released,
    "yes_no": camerabench.vqa_yes_no,
}


def camerabench_test(
    root: Path, vqa: VqaBuild = "match", meter: Meter | None = None
) -> list[Sample]:
    """CameraBench's test questions, binary and VQA, with their clips under `root`.

    `vqa` is "match" (labels right, text gives nothing away), "as_released" (the released file, to
    the byte) or "yes_no" (the released code's other file, to the byte). Downloads 4.4 GB the first
    time.
    """
    fetched = net.fetch(catalogue.CAMERABENCH_ANNOTATIONS, root / "camerabench" / "annotations")
    annotations = fetched / "camerabench" / "data"
    net.fetch(catalogue.CAMERABENCH_TEST_CLIPS, root / "camerabench" / "test", meter)
    return located([*camerabench.binary(annotations), *_VQA[vqa](annotations)], root)


def camerabench_train(root: Path, annotations: Path, meter: Meter | None = None) -> list[Sample]:
    """Training questions by this project's rules, from the training annotations.

    CameraBench gives them out on request, in the layout of its test annotations.
    """
    samples = [
        *camerabench.binary(annotations, "train"),
        *camerabench.vqa_match(annotations, "train"),
    ]
    archives = net.fetch(
        catalogue.CAMERABENCH_TRAIN_CLIPS, root / "camerabench" / "downloads", meter
    )
    extract(archives / "videos.zip", root / "camerabench" / "train")
    return located(samples, root)


def files(
    name: str, spec: FilesSpec, home: Path, most: float, meter: Meter | None = None
) -> tuple[dict[str, list[Sample]], Path]:
    """Question sets of others' rows by name, and the folder that their clips' paths start in.

    What is fetched goes to `home`. Rows that can't be read are left out and told, up to a share of
    `most` of a file.
    """
    folder = _here(spec.rows, home / "rows", meter)
    clips = _here(spec.clips, home / "clips", meter)
    if isinstance(spec.clips, Repository):
        for archive in sorted(clips.rglob("*")):
            if archive.name.endswith(SUFFIXES):
                extract(archive, home / "media" / archive.name.partition(".")[0])
        clips = home
    reading = rows.Reading(spec.task, spec.fields, spec.without)
    if spec.facts is not None:
        known = rows.facts_by_clip(folder / spec.facts.file, spec.facts.key)
        reading = reading._replace(where=spec.facts.where, prefix=spec.facts.prefix, clips=known)
    questions = {
        use: located(rows.questions(folder / file, name, use, most, reading), clips)
        for use, file in spec.sets.items()
    }
    return questions, clips


def _here(files: Repository | Path, target: Path, meter: Meter | None) -> Path:
    return files if isinstance(files, Path) else net.fetch(files, target, meter)


def shotbench_test(root: Path, meter: Meter | None = None) -> list[Sample]:
    """ShotBench's 3,572 questions in eight dimensions, 3,108 of them on still images."""
    folder = net.fetch(catalogue.SHOTBENCH, root / "shotbench" / "downloads", meter)
    for media in ("images", "videos"):
        extract(folder / f"{media}.tar", root / "shotbench" / media)
    return located(shotbench.questions(folder / "test.tsv"), root)


def refineshot_test(root: Path, meter: Meter | None = None) -> list[Sample]:
    """RefineShot's version of ShotBench's questions, on the same media."""
    return refineshot.refine(shotbench_test(root, meter))


def shotbench_movement(root: Path, meter: Meter | None = None) -> list[Sample]:
    """ShotBench's 464 questions about camera movement (the paper's Table 3), without its images."""
    source = catalogue.SHOTBENCH.model_copy(update={"patterns": ("test.tsv", "videos.tar")})
    folder = net.fetch(source, root / "shotbench" / "movement", meter)
    extract(folder / "videos.tar", root / "shotbench" / "videos")
    return located(shotbench.camera_movement(shotbench.questions(folder / "test.tsv")), root)


def motionbench_test(root: Path, meter: Meter | None = None) -> list[Sample]:
    """MotionBench's 385 questions about camera motion, with their clips alone.

    Clips that it took from other public data sets must be put into `root` by hand, as its page
    says; until then they are quarantined.
    """
    listing = catalogue.MOTIONBENCH.model_copy(update={"patterns": (f"*/{motionbench.LISTING}",)})
    folder = net.fetch(listing, root / "motionbench" / "questions")
    samples = motionbench.questions(folder / motionbench.FOLDER / motionbench.LISTING)
    names = sorted({PurePosixPath(sample.clip).name for sample in samples})
    clips = tuple(f"{motionbench.FOLDER}/*/{escape(name)}" for name in names)
    wanted = catalogue.MOTIONBENCH.model_copy(update={"patterns": clips})
    net.fetch(wanted, root / "motionbench" / "clips", meter)
    return located(samples, root)


def shotqa_train(
    root: Path, sft: str, rl: str, meter: Meter | None = None
) -> dict[Literal["sft", "rl"], list[Sample]]:
    """ShotQA's questions for each stage; `sft` and `rl` are glob patterns of their files.

    Gated: its terms must be accepted on the Hub, and HF_TOKEN set.
    """
    folder = net.fetch(catalogue.SHOTQA, root / "shotqa" / "downloads", meter)
    for archive in sorted(folder.rglob("*")):
        if archive.name.endswith((".zip", ".tar", ".tar.gz")):
            extract(archive, root / "shotqa" / "media" / archive.name.partition(".")[0])
    files = {"sft": _the_one(folder, sft, "sft_file"), "rl": _the_one(folder, rl, "rl_file")}
    return {
        "sft": located(shotqa.questions(files["sft"], "sft"), root),
        "rl": located(shotqa.questions(files["rl"], "rl"), root),
    }


def _the_one(folder: Path, pattern: str, key: str) -> Path:
    found = sorted(folder.rglob(pattern))
    if len(found) != 1:
        there = ", ".join(str(p.relative_to(folder)) for p in sorted(folder.rglob("*.json*")))
        raise AnnotationsError(
            f"data.shotqa.{key}: {len(found)} files like {pattern!r} in {folder}, which holds: "
            f"{there or 'no JSON file'}; give a pattern that one of them fits"
        )
    return found[0]


def located(samples: Iterable[Sample], root: Path) -> list[Sample]:
    """`samples` with their clips where they are: repositories and archives nest them differently.

    A clip that isn't at its path is looked for by its name below the nearest folder of that path
    that exists; of several the one whose path ends most alike is meant, or any where they are the
    same. One that is nowhere keeps its path, for the frame cache to quarantine.
    """
    names = cache(_files_by_name)

    @cache
    def find(item: Item) -> Item:
        return item.model_copy(update={"path": place(item.path)})

    @cache
    def place(clip: str) -> str:
        if (root / clip).is_file():
            return clip
        folder = next(parent for parent in (root / clip).parents if parent.is_dir())
        found = names(folder).get(PurePosixPath(clip).name, [])
        most = max((_alike(path, clip) for path in found), default=0)
        best = [path for path in found if _alike(path, clip) == most]
        if not all(filecmp.cmp(best[0], other, shallow=False) for other in best[1:]):
            raise AnnotationsError(
                f"clip {clip!r} could be any of {', '.join(map(str, best))}: remove the others"
            )
        return best[0].relative_to(root).as_posix() if best else clip

    return [s.model_copy(update={"media": tuple(map(find, s.media))}) for s in samples]


def _alike(path: Path, clip: str) -> int:
    """How many parts the two paths' ends have in common."""
    parts = zip(path.parts[::-1], PurePosixPath(clip).parts[::-1], strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], parts)))


def _files_by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            found.setdefault(path.name, []).append(path)
    return found
