"""Whether this machine has what a recipe needs: GPUs, disk, a video codec, the base model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator import cluster, runs
from orchestrator.backbones import backbone
from orchestrator.errors import ResourceError
from orchestrator.plan import Plan
from orchestrator.recipe import Recipe

HUB_SECONDS = 5.0
Verdict = tuple[bool | None, str]
"""Right, wrong or (None) not known; and what to tell."""


def machine(plan: Plan) -> Iterator[Verdict]:
    """Every check of this machine."""
    yield devices(plan.recipe)
    yield disk(plan)
    yield codec()
    yield base_model(plan)


def devices(recipe: Recipe) -> Verdict:
    """GPUs of this machine, unless the recipe runs on a cluster of its own."""
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
    there = next(path for path in (plan.directory, *plan.directory.parents) if path.exists())
    free = shutil.disk_usage(there).free if free is None else free
    text = f"disk: checkpoints take {wanted / 1e9:.1f} GB, {free / 1e9:.0f} GB are free in {there}"
    if wanted > free:
        text += "; lower sft.keep_checkpoints or rl.keep_checkpoints, or set runs_dir="
    return wanted <= free, text


def checkpoint_bytes(recipe: Recipe) -> float | None:
    """SFT: weights in bf16 and 12 bytes of optimizer a trained parameter (fp32: 4 and 8), each
    epoch or step that is kept. RL: 12 bytes a parameter (EasyR1's bf16: 6), one more than is
    kept while a new one is written. Then base and merged weights. None: unknown backbone.
    """
    model, sft, rl = backbone(recipe), recipe.sft, recipe.rl
    if model is None:
        return None
    size = model.parameters
    last = sft.epochs if sft.max_steps is None or sft.save_every == "epoch" else sft.max_steps
    every = 1 if sft.save_every == "epoch" else sft.save_every
    saved = sft.keep_checkpoints or math.ceil(last / every)
    reinforced = (6 if rl.trainer == "easyr1" and rl.precision == "bf16" else 12) * size
    return saved * 14.0 * size + (rl.keep_checkpoints + 1) * reinforced + 2 * 4.0 * size


def codec() -> Verdict:
    """PyAV with lossless libx264, in which the frame cache keeps clips."""
    import av

    there = "libx264rgb" in av.codecs_available
    return there, f"video: PyAV {av.__version__} {'has' if there else 'lacks'} libx264rgb"


def base_model(plan: Plan) -> Verdict:
    """The base model: built, a directory, fetched before, or on the Hub for this account."""
    name = plan.recipe.model.path
    if name is None:
        return True, "base model: built here"
    if Path(name).is_dir() or runs.is_done(plan.stage("model")):
        return True, f"base model: {name} is on this machine"
    return hub_repository(name)


def hub_repository(name: str) -> Verdict:
    """Whether the Hub gives `name` to this account; unknown where it can't be reached."""
    import httpx2
    from huggingface_hub import HfApi, errors

    page = f"https://huggingface.co/{name}"
    try:
        HfApi().model_info(name, timeout=HUB_SECONDS)
    except errors.GatedRepoError:
        return False, f"base model: {name} is gated: accept its terms at {page} and set HF_TOKEN"
    except errors.RepositoryNotFoundError:
        return False, f"base model: no {name} on the Hub for this account; see {page}, or HF_TOKEN"
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, httpx2.HTTPError, OSError) as error:
        return None, f"base model: the Hub can't be asked about {name} ({type(error).__name__})"
    return True, f"base model: {name} is on the Hub"
