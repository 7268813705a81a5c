"""Models and GPUs by their data sheets, so that a plan needs neither network nor weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from data_builders.specs import FrameSpec, TinyModelSpec
from orchestrator.recipe import Recipe
from orchestrator.run.gpus import ask_driver


@dataclass(frozen=True)
class Backbone:
    """What decides a model's memory and arithmetic."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool
    """The output layer shares the embedding's weights."""
    vision: int
    """Parameters of the vision tower and its projector."""

    @property
    def language(self) -> int:
        """Parameters of the language model: attention, gated MLP, embedding and output."""
        attention = 2 * self.hidden * self.head_dim * (self.heads + self.kv_heads)
        mlp = 3 * self.hidden * self.intermediate
        tables = (1 if self.tied else 2) * self.vocabulary * self.hidden
        return self.layers * (attention + mlp) + tables

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.language + self.vision

    @property
    def kv_bytes(self) -> int:
        """Bytes of bf16 keys and values a token."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_dim


QWEN25_VISION, QWEN3_VISION = 676_000_000, 576_000_000
BACKBONES = {
    "Qwen/Qwen2.5-VL-3B-Instruct": Backbone(
        2048, 36, 16, 2, 128, 11008, 151936, True, QWEN25_VISION
    ),
    "Qwen/Qwen2.5-VL-7B-Instruct": Backbone(
        3584, 28, 28, 4, 128, 18944, 152064, False, QWEN25_VISION
    ),
    "Qwen/Qwen2.5-VL-72B-Instruct": Backbone(
        8192, 80, 64, 8, 128, 29568, 152064, False, QWEN25_VISION
    ),
    "Qwen/Qwen3-VL-4B-Instruct": Backbone(2560, 36, 32, 8, 128, 9728, 151936, True, QWEN3_VISION),
    "Qwen/Qwen3-VL-8B-Instruct": Backbone(4096, 36, 32, 8, 128, 12288, 151936, False, QWEN3_VISION),
}
"""By Hub id (each repository's config.json)."""


def backbone(recipe: Recipe) -> Backbone | None:
    """The recipe's backbone; None for one that is not listed here."""
    build = recipe.model.build
    return _tiny(build) if build else BACKBONES.get(str(recipe.model.path))


def _tiny(spec: TinyModelSpec) -> Backbone:
    vision = (
        spec.vision_layers
        * spec.vision_hidden
        * (4 * spec.vision_hidden + 3 * spec.vision_intermediate)
    )
    return Backbone(
        spec.hidden,
        spec.layers,
        spec.heads,
        spec.kv_heads,
        spec.hidden // spec.heads,
        spec.intermediate,
        spec.vocabulary,
        True,
        vision,
    )


def visual_tokens(frames: int, pixels: int, spec: FrameSpec) -> int:
    """Tokens of a clip: one per `multiple` x `multiple` pixels of two frames, or of one image."""
    grids = -(-frames // 2) if spec.media == "video" else frames
    return grids * (min(pixels, spec.max_pixels) // spec.multiple**2)


def longest_clip(spec: FrameSpec) -> int:
    """Visual tokens of the longest clip at the largest size."""
    return visual_tokens(spec.max_frames, spec.max_pixels, spec)


class Gpu(NamedTuple):
    """A GPU by its data sheet."""

    name: str
    bytes: float
    flops: float
    """Dense bf16, a second."""


GPUS = (
    Gpu("H200", 141e9, 989e12),
    Gpu("H100", 80e9, 989e12),
    Gpu("B200", 180e9, 2250e12),
    Gpu("A100-SXM4-40GB", 40e9, 312e12),
    Gpu("A100", 80e9, 312e12),
    Gpu("L40S", 48e9, 362e12),
    Gpu("A6000", 48e9, 155e12),
    Gpu("4090", 24e9, 165e12),
)


def local_gpu() -> Gpu:
    """This machine's first GPU if it is a known one, else the paper's H200."""
    names = {name for (name,) in ask_driver("name")}
    return next((gpu for gpu in GPUS if any(gpu.name in name for name in names)), GPUS[0])
