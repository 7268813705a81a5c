"""What a recipe will cost: memory a GPU, tokens a step, FLOPs, hours and GPU-hours of each stage.

Rough by design: every formula stands in the docstring of the function that uses it, and
`paper_check` holds the result against the paper's cost. Nothing here reads data or weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from data_builders.specs import FrameSpec, Media
from orchestrator.doctor.memory import activations, pixel_bytes, rl_memory, sft_state, trained
from orchestrator.doctor.sheets import GPUS, Backbone, Gpu, backbone, longest_clip, visual_tokens
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.stages import RlStage, SftStage

CLIP_SECONDS, CLIP_PIXELS = 6.0, 1280 * 720
"""A clip of CameraBench, about; ours."""
TEXT_TOKENS, RESPONSE_TOKENS = 250, 200
"""Of a question, about (ours), and of a response (paper appendix C.3)."""
SFT_QUESTIONS, RL_QUESTIONS = 18_541, 38_451
"""CamReasoner's data (paper appendix A; the released file)."""
SHOTQA_QUESTIONS = 60_992
"""ShotQA's, summed over its eight dimensions (ShotBench's paper); nearly all on still images."""
USE = 0.5
"""Share of a GPU's peak that training reaches, recomputation counted; ours."""
GATHER_BYTES_A_SECOND = 80e9
"""At which ZeRO-3 moves weights; ours, so that the paper's SFT takes its 3 hours."""
DECODED = 2_500 * 7.6e9
"""Tokens a second that a GPU decodes in full batches, times the parameters; ours."""
STEP_SECONDS = 15.0
"""Of an RL step, for moving weights, rewards and waiting; ours."""
HOST_BYTES_A_SECOND = 4e9
"""At which verl's queue takes and gives pixel values; ours."""
REFILL = 1.5
"""Batches generated for one that is kept under online filtering; ours."""


@dataclass(frozen=True)
class Estimate:
    """One training stage on the recipe's devices."""

    stage: str
    tokens_per_step: float
    steps: int
    flops: float
    """Of the whole stage, on all devices."""
    hours: float
    memory: dict[str, float]
    """Bytes on the fullest GPU at the stage's peak, by what takes them."""
    devices: int
    host: float = 0.0
    """Bytes of pixel values that a step moves through the hosts' memory."""

    @property
    def bytes(self) -> float:
        """Peak bytes on a GPU."""
        return sum(self.memory.values())

    @property
    def gpu_hours(self) -> float:
        """Hours times devices."""
        return self.hours * self.devices


def estimate(recipe: Recipe, gpu: Gpu) -> list[Estimate]:
    """Every stage that trains, on `gpu`; nothing for a backbone whose size is not known."""
    model = backbone(recipe)
    return [
        ESTIMATES[type(spec)](recipe.at(name), name, model, gpu)
        for name, spec in recipe.stages.items()
        if model is not None and type(spec) in ESTIMATES
    ]


def _sft(recipe: Recipe, name: str, model: Backbone, gpu: Gpu) -> Estimate:
    """Tokens a step = devices x batch x accumulation x (visual + question + response).

    FLOPs a token = 6 N of trained parameters, 2 N of frozen ones, and 2 N more where activations
    are recomputed. Seconds a step = FLOPs / (devices x peak x USE), and under ZeRO-3 for each
    backward pass three transfers of 2 bytes a parameter (two gathers, one reduction).
    """
    sft, devices = recipe.sft, max(recipe.devices, 1)
    spec = sft.frames or recipe.frames
    sample = _visual(recipe, spec) + TEXT_TOKENS + RESPONSE_TOKENS
    batch = devices * sft.batch_size_per_device * sft.gradient_accumulation
    samples = min(sft_samples(recipe), sft.max_samples or 10**9)
    steps = sft.max_steps or int(samples * sft.epochs / batch)
    a_token = 4 * trained(recipe, model) + (4 if sft.gradient_checkpointing else 2) * model.language
    flops = steps * batch * sample * a_token
    moved = 3 * 2 * model.parameters if sft.zero_stage == 3 and devices > 1 else 0
    gathering = steps * sft.gradient_accumulation * moved / GATHER_BYTES_A_SECOND
    longest = sft.batch_size_per_device * min(
        sft.max_length, longest_clip(spec) + TEXT_TOKENS + RESPONSE_TOKENS
    )
    return Estimate(
        stage=name,
        tokens_per_step=batch * sample,
        steps=steps,
        flops=flops,
        hours=(flops / (devices * gpu.flops * USE) + gathering) / 3600,
        memory={**sft_state(recipe, model, devices), **activations(model, longest, True)},
        devices=devices,
    )


def _rl(recipe: Recipe, name: str, model: Backbone, gpu: Gpu) -> Estimate:
    """Tokens a step = prompts x G x (visual + question + response).

    FLOPs a token: 2 N for the old log-probabilities, 6 N for the update, 2 N to recompute
    activations, 2 N for the reference policy; and 2 N for each prompt token of a group, which
    shares its prefill. Seconds a step = FLOPs / (devices x peak x USE), decoding at a rate that
    falls with the parameters, pixel values through the host's memory (written once, read by two
    passes, and by the reference policy's), and a constant. Online filtering generates REFILL times
    as much.
    """
    rl, devices = recipe.rl, max(recipe.devices, 1)
    prompt = _visual(recipe, rl.frames or recipe.frames) + TEXT_TOKENS
    response = min(RESPONSE_TOKENS, rl.max_response_length)
    responses = rl.prompts_per_step * rl.group_size
    steps = rl_steps(recipe)
    refill = REFILL if rl.filter.enabled else 1.0
    passes = 8 + 2 * rl.gradient_checkpointing + 2 * rl.kl.enabled
    step_flops = model.parameters * (
        passes * responses * (prompt + response) + 2 * refill * rl.prompts_per_step * prompt
    )
    decoding = refill * responses * response * model.parameters / (DECODED * devices)
    host = pixel_bytes(recipe, prompt - TEXT_TOKENS)
    moving = (3 + rl.kl.enabled) * host / HOST_BYTES_A_SECOND
    seconds = step_flops / (devices * gpu.flops * USE) + decoding + moving + STEP_SECONDS
    memory = max(rl_memory(recipe, model, gpu, devices), key=lambda parts: sum(parts.values()))
    return Estimate(
        stage=name,
        tokens_per_step=responses * (prompt + response),
        steps=steps,
        flops=steps * step_flops,
        hours=steps * seconds / 3600,
        memory=memory,
        devices=devices,
        host=host,
    )


def rl_steps(recipe: Recipe) -> int:
    """Rollout batches of RL, about."""
    rl = recipe.rl
    return rl.max_steps or rl.epochs * max(1, rl_questions(recipe) // rl.prompts_per_step)


ESTIMATES: dict[type[Any], Callable[[Recipe, str, Backbone, Gpu], Estimate]] = {
    SftStage: _sft,
    RlStage: _rl,
}


def proposal(recipe: Recipe, gpu: Gpu) -> str | None:
    """The first override under which every stage fits `gpu`; None where none of ours does."""
    for override, changed in _alternatives(recipe):
        if all(fits(stage, gpu) for stage in estimate(changed, gpu)):
            return override
    return None


def fits(stage: Estimate, gpu: Gpu) -> bool:
    """Whether the stage leaves a twentieth of the GPU for the CUDA context and fragments."""
    return stage.bytes <= 0.95 * gpu.bytes


def _alternatives(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Overrides that save memory, the ones that cost least first, each on its own."""
    sft, rl, cluster = recipe.sft, recipe.rl, recipe.cluster
    yield "sft.zero_stage=3", _with(recipe, sft=sft.model_copy(update={"zero_stage": 3}))
    least = rl.longest
    few = rl.model_copy(update={"max_tokens_per_device": least, "microbatch_responses": 1})
    yield f"rl.max_tokens_per_device={least} rl.microbatch_responses=1", _with(recipe, rl=few)
    for share in (0.4, 0.3):
        rollout = rl.rollout.model_copy(update={"gpu_memory_utilization": share})
        spare = rl.model_copy(update={"rollout": rollout})
        yield f"rl.rollout.gpu_memory_utilization={share}", _with(recipe, rl=spare)
    for factor in (2, 4, 8):
        more = cluster.model_copy(update={"nodes": factor * cluster.nodes})
        yield f"cluster.nodes={factor * cluster.nodes}", _with(recipe, cluster=more)


def _with(recipe: Recipe, **sections: Any) -> Recipe:
    """The recipe with other sections, and what changed in them in every stage of their kind."""
    stages = dict(recipe.stages)
    for kind, section in sections.items():
        old = getattr(recipe, kind)
        fields = {key: getattr(section, key) for key in type(old).model_fields}
        changed = {key: value for key, value in fields.items() if getattr(old, key) != value}
        for name, spec in stages.items():
            if spec.kind == kind:
                stages[name] = spec.model_copy(update=changed)
    return recipe.model_copy(update={**sections, "stages": stages})


class View(NamedTuple):
    """What a stage sees of a usual clip."""

    stage: str
    fps: float
    frames: int
    pixels: int
    """Of a frame, at the most."""
    tokens: int
    media: Media


def views(recipe: Recipe) -> list[View]:
    """Each stage's view of a usual clip: where they differ, tests ask what was not trained."""
    own = {name: spec.frames for name, spec in recipe.stages.items()}
    own["eval"] = recipe.eval.frames
    return [view(recipe, stage, spec or recipe.frames) for stage, spec in own.items()]


def view(recipe: Recipe, stage: str, spec: FrameSpec) -> View:
    """What `stage` sees of a usual clip under `spec`."""
    made = recipe.data.synthetic
    synthetic = made is not None and recipe.data.sources == ("synthetic",)
    seconds = made.frames / made.fps if made and synthetic else CLIP_SECONDS
    pixels = made.height * made.width if made and synthetic else CLIP_PIXELS
    frames = spec.count(seconds, spec.max_frames)
    tokens = visual_tokens(frames, pixels, spec)
    size = min(pixels, spec.max_pixels)
    return View(stage, frames / seconds, frames, size, tokens, spec.media)


def _visual(recipe: Recipe, spec: FrameSpec) -> int:
    return view(recipe, "", spec).tokens


def sft_samples(recipe: Recipe) -> int:
    """Questions with a trace that the sources bring, about."""
    made = recipe.data.synthetic
    rendered = made.sft_clips * len(made.tasks) if made else 0
    named = {"camreasoning": SFT_QUESTIONS, "shotqa": SHOTQA_QUESTIONS}
    return rendered + sum(named.get(source, 0) for source in recipe.data.sources)


def rl_questions(recipe: Recipe) -> int:
    """Questions for RL that the sources bring, about."""
    made = recipe.data.synthetic
    rendered = made.rl_clips * len(made.tasks) if made else 0
    return rendered + (RL_QUESTIONS if "camreasoning" in recipe.data.sources else 0)


def paper_check() -> str:
    """Our hours for the paper's own runs beside the hours it reports (appendix C.3)."""
    # Its SFT is the paper's but for the number of samples.
    paper = load_recipe("camreasoner_7b_as_released", ["sft.max_samples=null", "rl.max_steps=85"])
    sft, rl = (stage.hours for stage in estimate(paper, GPUS[0]))
    return (
        f"check on 4 H200: SFT {sft:.1f} h here, 3 h in the paper; GRPO {rl:.1f} h here "
        "for 85 steps of the released configuration, whose curves end there, 7 h in the paper"
    )
