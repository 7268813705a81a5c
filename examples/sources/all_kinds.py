"""Questions of all kinds in one stage: about a video, a part of it, its frames, both, and a text.

One file, and one line of the recipe:

    data.sources: [synthetic, examples/sources/all_kinds.py:all_kinds]

The function puts what it shows below the folder it is given, and returns the samples of each set.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from data_builders import Item, Sample, SyntheticSpec, build_synthetic, image, video
from data_builders.decoding import read_all

SPEC = SyntheticSpec(
    motions=("pan_left", "pan_right"),
    sft_clips=24,
    rl_clips=24,
    test_clips=12,
    tasks=("multiple_choice",),
    choices=2,
    seed=7,
)


def all_kinds(folder: Path) -> dict[str, list[Sample]]:
    """Two pictures tell a pan from its opposite; one or none can't, and teach to say so."""
    sets: dict[str, list[Sample]] = {"sft": [], "rl": [], "test": []}
    for number, sample in enumerate(build_synthetic(SPEC, folder)):
        shown = KINDS[number % len(KINDS)](folder, sample.media[0].path)
        facts = {"shown": [item.name for item in shown]}
        own = {"id": f"all_kinds/{number}", "dataset": "all_kinds", "facts": facts}
        kept = sample.model_copy(update={**own, "media": shown})
        sets[sample.provenance["use"]].append(kept)
    return sets


def ends(folder: Path, clip: str) -> tuple[Item, ...]:
    """The first frame of `clip` and its last, as images."""
    frames = read_all(folder / clip)
    paths = [str(Path(clip).with_suffix(f".{name}.png")) for name in ("first", "last")]
    for path, frame in zip(paths, (frames[0], frames[-1]), strict=True):
        Image.fromarray(frame).save(folder / path)
    return tuple(map(image, paths))


KINDS: list[Callable[[Path, str], tuple[Item, ...]]] = [
    lambda folder, clip: (video(clip),),
    lambda folder, clip: (video(clip, 0.5, 3.0),),
    lambda folder, clip: ends(folder, clip),
    lambda folder, clip: ends(folder, clip)[:1],
    lambda folder, clip: (*ends(folder, clip)[:1], video(clip)),
    lambda folder, clip: (),
]
