"""Reinforcement learning with GRPO, in the paper's words (section 4.1, Table 6)."""

from typing import Annotated, Any, Literal

from pydantic import Field

from data_builders.specs import FrameSpec, Matching, PromptSpec, Spec


class EmaSpec(Spec):
    """Normaliser of EMA-GRPO (paper section 3.3; OneThinker core_algos.py:219-517)."""

    beta: float = Field(ge=0, lt=1)
    """EMA momentum of the reward statistics, per task (paper: 0.99). 0 is the batch's own."""
    statistic: Literal["moments", "std"]
    """`moments`: EMA of E[x] and E[x^2] (released code); `std`: EMA of the batch std (papers)."""
    min_std: float = Field(gt=0)
    """Floor of the standard deviation (released code: 1e-3)."""
    guard: float = Field(gt=0)
    """A group with an |advantage| above this falls back to its own std (released code: 5)."""
    key: Literal["task", "shared"]
    """What has a std of its own: each `task` (paper), or all questions together (`shared`: the
    released rows are one task, `multiple choice`, be they binary or not)."""


TermName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class TermSpec(Spec):
    """One more term of the reward, added to accuracy and format (`reward_plugins/terms.py`)."""

    function: str
    """`path/to/file.py:name`, of a `Response` or of a group's list (`reward_plugins/systems`)."""
    weight: float
    """What a term of 1 earns."""
    over: Literal["response", "group"] = "response"
    """What the function is given: one response, or all to one question that pass `when`."""
    when: dict[str, float] = Field(default={})
    """Scores that must be above these values for the term to count, such as `{accuracy: 0.5}`."""
    tasks: tuple[str, ...] | None = None
    """Tasks of the responses that it counts for; null: all."""
    veto: bool = False
    """Where the term counts and is 0, the accuracy earns nothing either (SpaceR's maps)."""
    arguments: dict[str, Any] = Field(default={})
    """Keyword arguments of the function."""


class RewardSpec(Spec):
    """R = (1 - format_weight) * accuracy + format_weight * format (paper Eq. 3), and `terms`."""

    format_weight: float = Field(ge=0, le=1)
    """lambda: weight of the format reward (paper Table 6: 0.1)."""
    accuracy_weight: float | None = Field(default=None, gt=0)
    """Weight of the accuracy; null: 1 - format_weight (Video-R1 and its kin add both with 1)."""
    gate_accuracy_on_format: bool
    """Accuracy counts only in a well-formed response (paper's text: yes; released code: no)."""
    matching: Matching
    """How format and answer are read: by this project's rule (`strict`); by the released code's,
    which is OneThinker's (`as_released`); from the `first` answer block of blocks that may repeat
    (Video-R1, SpaceR); from the `last`, in small letters and without final dots (SpatialLadder)."""
    min_block_chars: int = Field(ge=0)
    """Least characters of observation and of think for the format reward; 0 accepts empty."""
    function: str | None
    """A reward of your own instead, `path/to/file.py:name` in verl's signature (examples/rewards);
    it gets every key of this section, and the prompt's tags, by keyword. Null: this project's."""
    arguments: dict[str, Any]
    """Further keyword arguments of `function`."""
    terms: dict[TermName, TermSpec] = Field(default={})
    """Further terms by name, added in this order, those over a group last."""


class KlSpec(Spec):
    """Penalty towards the SFT policy in the loss (paper Table 6)."""

    enabled: bool
    """Build a reference policy and penalise (paper: yes; the released config: never applied)."""
    kl_coef: float = Field(ge=0)
    """Weight of the penalty in the loss."""
    kl_type: Literal["low_var_kl", "kl", "abs", "mse"]
    """Estimator of the divergence (paper Table 6: low_var_kl)."""


class FilterSpec(Spec):
    """Online filtering: keep groups whose mean lies strictly between two bounds."""

    enabled: bool
    """Drop groups without a signal (paper Table 6: on)."""
    metric: Literal["accuracy", "score"]
    """What is averaged over a group (paper Table 6: accuracy)."""
    low: float
    """Groups at or below are dropped (paper Table 6: 0.01)."""
    high: float
    """Groups at or above are dropped (paper Table 6: 0.99)."""
    max_refills: int = Field(gt=0)
    """Batches generated for one step before it stops with an error (released code: 20)."""


class RolloutSpec(Spec):
    """How responses are sampled during training."""

    engine: Literal["vllm", "hf"]
    """`vllm`, on a CPU by a build of its own; `hf` is Hugging Face generate, on a CPU only."""
    temperature: float = Field(gt=0)
    """Softmax temperature (paper Table 6: 1.0)."""
    top_p: float = Field(gt=0, le=1)
    """Nucleus mass (paper Table 6: 1.0)."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """Divides the logits of tokens that were written before (ShotVL: 1.1); verl with vLLM alone."""
    tensor_parallel: int = Field(gt=0)
    """GPUs one rollout engine is spread over (paper Table 6: 4)."""
    gpu_memory_utilization: float = Field(gt=0, lt=1)
    """Share of a GPU's memory that vLLM may take."""
    max_batched_tokens: int = Field(gt=0)
    """Tokens vLLM schedules at once."""


class ValidationSpec(Spec):
    """Looks at the policy while it trains, on questions that training leaves out."""

    every: int = Field(gt=0)
    """Steps from one to the next; greedy answers, one a question."""
    questions: int = Field(gt=0)
    """Least number of questions left out: all on the first clips in an order drawn by `seed`."""


class RlSpec(Spec):
    """EMA-GRPO from an earlier policy, run by stock verl or EasyR1."""

    trainer: Literal["verl", "easyr1"]
    """Which back end runs the stage."""
    frames: FrameSpec | None
    """Frames this stage sees, when not the recipe's own; the plan then shows the skew."""
    prompt: PromptSpec | None = None
    """Prompt and tags of this stage, when not the recipe's own."""
    advantage: Literal["ema_grpo", "grpo"]
    """`ema_grpo` is the paper's; `grpo` divides by each group's own std."""
    ema: EmaSpec
    """Settings of `ema_grpo`."""
    reward: RewardSpec
    """The reward of a response."""
    kl: KlSpec
    """Penalty towards the starting policy."""
    filter: FilterSpec
    """Online filtering of groups."""
    rollout: RolloutSpec
    """Sampling of responses."""
    group_size: int = Field(ge=2)
    """G: responses a prompt (paper Table 6: 8)."""
    prompts_per_step: int = Field(gt=0)
    """Prompts of one rollout batch (paper Table 6: 128)."""
    minibatch_prompts: int = Field(gt=0)
    """Prompts of one optimizer step (paper Table 6: 32, so 4 updates a rollout batch)."""
    microbatch_responses: int = Field(gt=0)
    """Responses of one forward-backward pass on a device (paper Table 6: 1)."""
    logprob_microbatch_responses: int = Field(gt=0)
    """Responses of one forward pass for log-probabilities (paper Table 6: 1)."""
    epochs: int = Field(gt=0)
    """Passes over the questions (paper Table 6: 2)."""
    max_steps: int | None = Field(gt=0)
    """Rollout batches; overrides `epochs`. Null: `epochs` decide."""
    max_prompt_length: int = Field(gt=0)
    """Most visual and text tokens of a prompt (paper Table 6: 16,384)."""
    max_response_length: int = Field(gt=0)
    """Most tokens of a response (paper Table 6: 4,096)."""
    learning_rate: float = Field(gt=0)
    """Learning rate of AdamW after the warm-up."""
    scheduler: Literal["constant", "cosine"]
    """Learning rate after the warm-up (released config: constant)."""
    betas: tuple[float, float]
    """AdamW's momenta."""
    weight_decay: float = Field(ge=0)
    """AdamW's decoupled weight decay."""
    warmup_ratio: float = Field(ge=0, le=1)
    """Share of the steps spent warming up (paper Table 6: 0)."""
    max_grad_norm: float = Field(gt=0)
    """Gradients are clipped to this norm (paper Table 6: 1.0)."""
    clip_low: float = Field(gt=0)
    """PPO's lower clipping distance (released config: 0.2)."""
    clip_high: float = Field(gt=0)
    """PPO's upper clipping distance (released config: 0.3)."""
    clip_dual: float = Field(gt=1)
    """Dual-clip constant for negative advantages (released config: 3)."""
    loss: Literal["ppo", "gspo"] = "ppo"
    """What the clips bound: each token's ratio to the rollout's policy (`ppo`, GRPO's), or the
    response's (`gspo`, arXiv 2507.18071; Open-o3)."""
    loss_aggregation: Literal["token-mean", "seq-mean-token-sum", "seq-mean-token-mean"]
    """How the loss averages tokens (released config: token-mean)."""
    freeze_vision_tower: bool
    """Keep the vision tower fixed (released config: no). verl 0.9.1 reads its own key of that name
    nowhere: `reward_plugins/verl_plugin/freezing.py` does it there."""
    precision: Literal["bf16", "fp32"]
    """Arithmetic of the policy, the reference policy and the rollouts (paper Table 6: bf16)."""
    optimizer_precision: Literal["bf16", "fp32"]
    """What AdamW keeps of weights and moments (paper Table 6: bf16). EasyR1's bf16 AdamW makes up
    for rounding (Kahan summation); verl's does not, and loses most of an update of 2e-6."""
    gradient_checkpointing: bool
    """Recompute activations in the backward pass (paper Table 6: enabled)."""
    padding_free: bool
    """Pack sequences without padding (paper Table 6: enabled)."""
    dynamic_batching: bool
    """Micro-batches by token count rather than by responses (paper Table 6: enabled)."""
    max_tokens_per_device: int = Field(gt=0)
    """Tokens of one micro-batch under dynamic batching in verl; EasyR1 has no such key, and takes
    `microbatch_responses` times the longest sequence."""
    validation: ValidationSpec | None
    """A small held-out set, scored by the reward while training goes on; null: none."""
    save_every: int = Field(gt=0)
    """Steps between checkpoints."""
    keep_last: int = Field(gt=0)
    """Newest checkpoints that stay on disk, besides those of `keep_every`. There is no `keep_best`:
    each that is kept can be evaluated."""
    keep_every: int | None = Field(gt=0)
    """Every so many checkpoints one stays for ever, to go back to behind a collapse that is seen
    late; null: none does."""
    merge_dtype: Literal["bf16", "fp32"]
    """Type of the weights that the stage leaves: its shards are merged at its end."""
    extra: dict[str, Any]
    """Keys of the chosen trainer, dotted or nested, passed through verbatim."""

    @property
    def longest(self) -> int:
        """Most tokens of a prompt with its response."""
        return self.max_prompt_length + self.max_response_length
