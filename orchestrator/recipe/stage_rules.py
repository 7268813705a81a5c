"""Values of one stage that contradict each other, or that its trainer would refuse later."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.recipe.own_code import PROGRESS, REWARD, own_function
from orchestrator.recipe.rl import RewardSpec
from orchestrator.recipe.schema import Recipe


def of_stage(recipe: Recipe, kind: str) -> Iterator[str]:
    """Rules of one stage, whose keys are those of its kind's section in `recipe`."""
    checks = {"sft": (_sft,), "rl": (_rl, _reward, _terms, _devices), "sample": (_sample,)}[kind]
    for check in checks:
        yield from check(recipe)


def _sft(recipe: Recipe) -> Iterator[str]:
    sft = recipe.sft
    if recipe.cluster.device == "cpu" and sft.precision == "bf16" and sft.zero_stage is None:
        yield "sft.precision: bf16 on a cpu is proven with sft.zero_stage=3 only; set fp32"


def _sample(recipe: Recipe) -> Iterator[str]:
    own = recipe.sample
    if own.keep == "between" and own.low >= own.high:
        yield f"sample.low: {own.low} is not below sample.high {own.high}"
    if own.temperature == 0 and own.responses > 1:
        yield f"sample.responses: {own.responses} greedy ones are all the same; set a temperature"


def _rl(recipe: Recipe) -> Iterator[str]:
    if recipe.rl.trainer == "easyr1" and "trackio" in recipe.loggers:
        yield "loggers: EasyR1 has no trackio; choose tensorboard, wandb or swanlab"
    rl = recipe.rl
    if rl.prompts_per_step % rl.minibatch_prompts:
        yield (
            f"rl.minibatch_prompts: {rl.minibatch_prompts} does not divide "
            f"rl.prompts_per_step {rl.prompts_per_step}; choose a divisor"
        )
    if rl.kl.enabled and rl.kl.kl_coef == 0:
        yield "rl.kl.kl_coef: 0 with rl.kl.enabled=true builds a reference policy for nothing"
    if rl.kl.kl_coef > 0 and not rl.kl.enabled:
        yield (
            f"rl.kl.kl_coef: {rl.kl.kl_coef} has no effect with rl.kl.enabled=false; set it to 0 "
            "or enable the penalty"
        )
    if rl.filter.low >= rl.filter.high:
        yield f"rl.filter.low: {rl.filter.low} is not below rl.filter.high {rl.filter.high}"
    if rl.trainer == "easyr1" and rl.loss_aggregation == "seq-mean-token-sum":
        yield "rl.loss_aggregation: EasyR1 knows token-mean and seq-mean-token-mean only"
    if rl.trainer == "easyr1" and rl.rollout.repetition_penalty != 1:
        yield "rl.rollout.repetition_penalty: EasyR1 hands vLLM none; set it to 1, or take verl"


def _terms(recipe: Recipe) -> Iterator[str]:
    known = {"format", "accuracy"}
    for name, term in recipe.rl.reward.terms.items():
        key = f"rl.reward.terms.{name}"
        if name in (*known, "score", "overall"):
            yield f"{key}: {name} is another score of the reward; rename it"
        try:
            takes = own_function(term.function, alone=False).takes
        except ValueError as error:
            yield f"{key}.function: {error}"
            continue
        if lacking := sorted(set(term.arguments) - set(takes)):
            yield f"{key}.arguments: {term.function} takes no {', '.join(lacking)}"
        if PROGRESS in takes and recipe.rl.trainer == "easyr1":
            yield f"{key}: takes the training's progress, which EasyR1 tells no reward; use verl"
        if unknown := sorted(term.when.keys() - known):
            yield f"{key}.when: no score before it is called {', '.join(unknown)}: {sorted(known)}"
        if absent := sorted(set(term.tasks or ()) - recipe.tasks.keys()):
            yield f"{key}.tasks: {', '.join(absent)} is none of {', '.join(recipe.tasks)}"
        if term.veto and recipe.rl.reward.function is not None:
            yield f"{key}.veto: what accuracy earns is known of this project's reward alone"
        known.add(name)


def _reward(recipe: Recipe) -> Iterator[str]:
    reward = recipe.rl.reward
    if reward.function is None:
        if reward.arguments:
            yield "rl.reward.arguments: are those of rl.reward.function, which is not given"
        return
    try:
        own_function(reward.function, REWARD, alone=False)
    except ValueError as error:
        yield f"rl.reward.function: {error}"
    if taken := {*RewardSpec.model_fields, "tags", "tasks"} & set(reward.arguments):
        yield f"rl.reward.arguments: {', '.join(sorted(taken))} already says the recipe; rename it"


def _devices(recipe: Recipe) -> Iterator[str]:
    if recipe.cluster.device == "cuda" and recipe.cluster.gpus_per_node == 0:
        yield "cluster.gpus_per_node: 0 with cluster.device=cuda; give the GPUs, or device=cpu"
    responses = recipe.rl.minibatch_prompts * recipe.rl.group_size
    if recipe.devices and responses % recipe.devices:
        yield (
            f"rl.minibatch_prompts x rl.group_size: {responses} responses do not divide over "
            f"{recipe.devices} devices"
        )
    yield from _microbatches(recipe)
    yield from _engine(recipe)
    yield from _engines(recipe)
    yield from _flash_attention(recipe)
    on_cpu, generates = recipe.cluster.device == "cpu", recipe.rl.rollout.engine == "hf"
    if generates and not on_cpu:
        yield "rl.rollout.engine: hf with cluster.device=cuda; it is for a cpu, use vllm"
    for key in ("top_p", "repetition_penalty"):
        if generates and getattr(recipe.rl.rollout, key) != 1:
            yield f"rl.rollout.{key}: rl.rollout.engine=hf takes tokens as they are; set it to 1"
    if generates and on_cpu and recipe.rl.precision == "bf16":
        yield "rl.precision: bf16 on a cpu needs rl.rollout.engine=vllm; hf samples in fp32"


def _engine(recipe: Recipe) -> Iterator[str]:
    """What vLLM refuses only when the rollouts start, after SFT."""
    rollout = recipe.rl.rollout
    if rollout.engine != "vllm":
        return
    if rollout.max_batched_tokens < recipe.rl.longest:
        yield (
            f"rl.rollout.max_batched_tokens: {rollout.max_batched_tokens} is below the "
            f"{recipe.rl.longest} of rl.max_prompt_length + rl.max_response_length, and prompts "
            "are not split; raise it, or lower those"
        )
    if recipe.devices % rollout.tensor_parallel:
        yield (
            f"rl.rollout.tensor_parallel: {rollout.tensor_parallel} does not divide the "
            f"{recipe.devices} GPUs; choose a divisor"
        )


def _engines(recipe: Recipe) -> Iterator[str]:
    """What would show only when the trained policy is asked."""
    wide, gpus = recipe.eval.gpus_per_engine, recipe.cluster.gpus_per_node
    if recipe.cluster.device == "cpu":
        return
    for key, count, each in (
        ("eval", recipe.eval.engines, wide),
        ("sample", recipe.sample.engines, 1),
    ):
        if (count or 1) * each > gpus:
            yield (
                f"{key}.engines: {count or 1} of {each} GPUs each, and cluster.gpus_per_node has "
                f"{gpus}; set it to {gpus // each or 'null, and fewer GPUs an engine in eval.vllm'}"
            )


def _flash_attention(recipe: Recipe) -> Iterator[str]:
    """It computes in 16 bits only; padding-free batches, and all of EasyR1, need it."""
    rl = recipe.rl
    if recipe.cluster.device == "cuda" and rl.precision == "fp32":
        if rl.trainer == "easyr1":
            yield "rl.precision: EasyR1 computes attention in bf16 alone; set bf16"
        elif rl.padding_free:
            yield "rl.padding_free: needs rl.precision=bf16; set it to false"
    if rl.precision == "fp32" and rl.optimizer_precision == "bf16":
        yield "rl.optimizer_precision: bf16 with rl.precision=fp32; set it to fp32"


def _microbatches(recipe: Recipe) -> Iterator[str]:
    """verl asserts this only after its workers have started."""
    rl = recipe.rl
    if rl.dynamic_batching or not recipe.devices:
        return
    sizes = [
        ("rl.microbatch_responses", rl.microbatch_responses, rl.minibatch_prompts),
        ("rl.logprob_microbatch_responses", rl.logprob_microbatch_responses, rl.prompts_per_step),
    ]
    for key, size, prompts in sizes:
        responses = prompts * rl.group_size // recipe.devices
        if responses % size:
            yield f"{key}: {size} does not divide the {responses} responses of a device"
