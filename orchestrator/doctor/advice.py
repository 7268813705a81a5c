"""What no trainer's parser objects to and is wrong all the same."""

from __future__ import annotations

from collections.abc import Iterator

from data_builders.specs import FrameSpec
from orchestrator.doctor.sheets import longest_clip, visual_tokens
from orchestrator.plan.extra import flat
from orchestrator.recipe import Recipe

QUESTION_TOKENS, SYNTHETIC_QUESTION_TOKENS = 200, 60
"""Of the longest question with its options; ours."""
TRACE_TOKENS = 400
"""Of the longest trace; ours."""
CHARACTERS_A_TOKEN = 4

IGNORED = {
    "verl": {
        "actor_rollout_ref.actor.freeze_vision_tower": "declared and read nowhere",
        "algorithm.filter_groups.max_num_gen_batches": "not read by the V1 trainer",
        "actor_rollout_ref.actor.ppo_micro_batch_size": "replaced by ..._per_gpu",
    },
    "easyr1": {
        "worker.actor.disable_kl": "replaced by algorithm.disable_kl",
        "worker.actor.use_kl_loss": "replaced by algorithm.use_kl_loss",
        "worker.actor.kl_coef": "replaced by algorithm.kl_coef, unused under disable_kl",
        "worker.actor.kl_penalty": "replaced by algorithm.kl_penalty",
        "worker.rollout.prompt_length": "replaced by data.max_prompt_length",
        "worker.rollout.response_length": "replaced by data.max_response_length",
    },
}
"""Keys that a trainer accepts and ignores (verl 0.9.1, EasyR1 b44b311)."""


def advice(recipe: Recipe) -> Iterator[str]:
    """One line a fault: key, what was found, how to mend it."""
    yield from _lengths(recipe)
    yield from _time(recipe)
    for key in flat(recipe.rl.extra):
        if why := IGNORED[recipe.rl.trainer].get(key.removeprefix("+")):
            yield f"rl.extra.{key}: {recipe.rl.trainer} accepts this key and ignores it ({why})"


def _lengths(recipe: Recipe) -> Iterator[str]:
    """The longest prompt, in visual and text tokens, against what each stage takes."""
    sft, rl = recipe.sft, recipe.rl
    stages = [
        ("sft.max_length", sft.max_length, "sft.frames", sft.frames, TRACE_TOKENS),
        ("rl.max_prompt_length", rl.max_prompt_length, "rl.frames", rl.frames, 0),
    ]
    for key, most, where, override, trace in stages:
        spec = override or recipe.frames
        text = text_tokens(recipe) + (0 if recipe.data.sources == ("synthetic",) else trace)
        visual = longest_clip(spec)
        if visual + text > most:
            yield (
                f"{key}: {most} tokens, but the longest clip takes {visual} and the text about "
                f"{text}; raise it, or set {where if override else 'frames'}.max_frames="
                f"{_most_frames(spec, most - text)}"
            )


def text_tokens(recipe: Recipe) -> int:
    """Of the longest prompt's text, about."""
    synthetic = recipe.data.sources == ("synthetic",)
    around = len(recipe.prompt.system) + len(recipe.prompt.template)
    question = SYNTHETIC_QUESTION_TOKENS if synthetic else QUESTION_TOKENS
    return question + around // CHARACTERS_A_TOKEN


def _most_frames(spec: FrameSpec, room: int) -> int:
    return max(0, 2 * (room // visual_tokens(2, spec.max_pixels, spec)))


def _time(recipe: Recipe) -> Iterator[str]:
    qwen3 = recipe.sft.template.startswith("qwen3")
    if qwen3 and recipe.rl.trainer == "verl":
        yield (
            "rl.trainer: verl's glue gives the policy the time positions of Qwen2.5-VL, and "
            f"{recipe.model.path} has others; use rl.trainer=easyr1"
        )
    given = ("frames", recipe.frames), ("sft.frames", recipe.sft.frames)
    more = ("rl.frames", recipe.rl.frames), ("eval.frames", recipe.eval.frames)
    for key, spec in (*given, *more):
        if spec is not None and spec.media == "video" and spec.fps > 2 and not qwen3:
            yield (
                f"{key}.fps: at {spec.fps:g} two frames last under a second, which transformers "
                "rounds to no time at all, so that frames lose their order; use 2 or less"
            )
