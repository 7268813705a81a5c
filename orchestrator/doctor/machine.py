"""Whether this machine has what a recipe needs: GPUs, disk, video codecs."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from orchestrator.doctor import frame_cache
from orchestrator.doctor.estimate import rl_steps
from orchestrator.doctor.memory import rl_bytes
from orchestrator.doctor.sheets import backbone
from orchestrator.errors import ResourceError
from orchestrator.plan.make import Plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import Recipe
from orchestrator.run import cluster

DECODERS = ("h264", "hevc", "vp9", "av1", "mpeg4")
"""Of the published clips, and of what people film."""
Verdict = tuple[bool | None, str]
"""Right, wrong or (None) not known; and what to tell."""


def machine(plan: Plan) -> Iterator[Verdict]:
    """Every check of this machine."""
    yield devices(plan.recipe)
    yield disk(plan)
    yield frames(plan.recipe)
    yield video()


def devices(recipe: Recipe) -> Verdict:
    """GPUs of this machine, unless the recipe runs on a cluster of its own."""
    nodes = recipe.cluster.nodes
    if nodes > 1 and recipe.cluster.address is None:
        return False, (
            f"cluster.nodes: {nodes} nodes, but without cluster.address there is this machine "
            "alone; see examples/ for how to start a cluster, or set cluster.nodes=1"
        )
    try:
        cluster.check_gpus(recipe)
    except ResourceError as error:
        return False, str(error)
    return True, f"devices: {recipe.devices} x {recipe.cluster.device}"


def disk(plan: Plan, free: int | None = None) -> Verdict:
    """Free bytes against the checkpoints that the recipe keeps."""
    wanted = checkpoint_bytes(plan.recipe)
    if wanted is None:
        return None, f"disk: the size of {plan.recipe.model.path} is not known here"
    there, left = _free(plan.directory)
    free = left if free is None else free
    text = f"disk: checkpoints take {wanted / 1e9:.1f} GB, {free / 1e9:.0f} GB are free in {there}"
    if wanted > free:
        text += "; lower sft.keep_last or rl.keep_last, raise rl.keep_every, or set runs_dir="
    return wanted <= free, text


def frames(recipe: Recipe, free: int | None = None) -> Verdict:
    """Free bytes against the frame cache, where it is to lie; that many clips it rarely holds."""
    there, left = _free(ROOT / recipe.data.cache_dir)
    free = left if free is None else free
    text = f"{frame_cache.sizes(recipe)}, {free / 1e9:.0f} GB are free in {there}"
    if frame_cache.cache_bytes(recipe) <= free:
        return True, text
    return None, f"{text}: if they don't suffice, set data.cache_dir= or lower frames.max_pixels"


def _free(path: Path) -> tuple[Path, int]:
    there = next(each for each in (path, *path.parents) if each.exists())
    return there, shutil.disk_usage(there).free


def checkpoint_bytes(recipe: Recipe) -> float | None:
    """SFT: weights in bf16 and 12 bytes of optimizer a trained parameter (fp32: 4 and 8), each
    epoch or step that is kept. RL: `rl_bytes` a parameter, one more than is kept
    while a new one is written. Then base and merged weights. None: unknown backbone.
    """
    model, sft, rl = backbone(recipe), recipe.sft, recipe.rl
    if model is None:
        return None
    size = model.parameters
    last = sft.epochs if sft.max_steps is None or sft.save_every == "epoch" else sft.max_steps
    every = 1 if sft.save_every == "epoch" else sft.save_every
    saved = sft.keep_last or math.ceil(last / every)
    kept = rl_steps(recipe) // (rl.keep_every * rl.save_every) if rl.keep_every else 0
    reinforced = (kept + rl.keep_last + 1) * sum(rl_bytes(recipe)) * size
    return saved * 14.0 * size + reinforced + 2 * 4.0 * size


def video() -> Verdict:
    """PyAV's decoders for published clips, and lossless libx264, in which the frame cache keeps
    them. The trainers are given those frames: no reader of theirs (decord, torchcodec,
    torchvision) decides what a model sees.
    """
    import av

    lacking = [name for name in DECODERS if not _can(name, "r")]
    lacking += [] if _can("libx264rgb", "w") else ["libx264rgb"]
    backend = f"video: PyAV {av.__version__} (libavcodec {_version('libavcodec')})"
    if lacking:
        return False, f"{backend} lacks {', '.join(lacking)}; install the wheel of envs/*.txt"
    return True, f"{backend} decodes each clip once; every stage reads those frames"


def _can(codec: str, mode: Literal["r", "w"]) -> bool:
    from av.codec.codec import Codec, UnknownCodecError

    try:
        Codec(codec, mode)
    except UnknownCodecError:
        return False
    return True


def _version(library: str) -> str:
    import av

    return ".".join(map(str, av.library_versions[library]))
