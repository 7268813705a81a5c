"""Supervised fine-tuning, in the paper's words (section 4.1, Table 5)."""

from typing import Any, Literal

from pydantic import Field, PositiveInt

from data_builders.specs import FrameSpec, PromptSpec, Spec


class SftSpec(Spec):
    """Cold start on O-T-A traces, run by stock LLaMA-Factory."""

    frames: FrameSpec | None
    """Frames this stage sees, when not the recipe's own; the plan then shows the skew."""
    prompt: PromptSpec | None
    """Prompt and tags of this stage, when not the recipe's own (ShotVL: the answer alone)."""
    template: str
    """LLaMA-Factory's chat template for the backbone, e.g. `qwen2_vl`."""
    freeze_vision_tower: bool
    """Keep the vision tower fixed (paper Table 5: frozen)."""
    freeze_projector: bool
    """Keep the multi-modal projector fixed (paper Table 5: frozen)."""
    freeze_language_model: bool
    """Keep the language model fixed (paper Table 5: trainable)."""
    max_length: int = Field(gt=0)
    """Most tokens of prompt and trace together (paper Table 5: 16,384)."""
    max_samples: int | None = Field(gt=0)
    """Most training samples; null for all (paper Table 5: 20,000)."""
    epochs: float = Field(gt=0)
    """Passes over the traces (paper Table 5: 3)."""
    max_steps: int | None = Field(gt=0)
    """Optimizer steps; overrides `epochs`. Null: `epochs` decide."""
    batch_size_per_device: int = Field(gt=0)
    """Samples a device takes at once (paper Table 5: 1)."""
    gradient_accumulation: int = Field(gt=0)
    """Backward passes before an optimizer step (paper Table 5: 2)."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate of AdamW."""
    scheduler: Literal["cosine", "linear", "constant"]
    """Decay of the learning rate (paper Table 5: cosine)."""
    warmup_ratio: float = Field(ge=0, le=1)
    """Share of the steps spent warming up (paper Table 5: 0.03)."""
    weight_decay: float = Field(ge=0)
    """AdamW's decoupled weight decay."""
    adam_beta2: float = Field(gt=0, lt=1)
    """AdamW's second-moment momentum."""
    max_grad_norm: float = Field(gt=0)
    """Gradients are clipped to this norm."""
    precision: Literal["bf16", "fp32"]
    """Arithmetic of training (paper Table 5: bf16)."""
    zero_stage: Literal[2, 3] | None
    """DeepSpeed ZeRO stage; null for plain data parallelism (paper Table 5: 3)."""
    gradient_checkpointing: bool
    """Recompute activations in the backward pass, to save memory."""
    save_every: Literal["epoch"] | PositiveInt
    """A checkpoint each epoch, or every so many steps."""
    keep_last: int | None = Field(gt=0)
    """Newest checkpoints that stay on disk; null keeps all (the SFT-epoch ablation needs them). The
    best stays too with `val_size`, `eval_strategy` and `load_best_model_at_end` in `extra`."""
    log_every: int = Field(gt=0)
    """Steps between two rows of the loss curve."""
    loader_workers: int = Field(ge=0)
    """Processes that decode and tokenise ahead of the trainer."""
    extra: dict[str, Any]
    """LLaMA-Factory keys passed through verbatim; its own parser checks them."""
