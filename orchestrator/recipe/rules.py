"""What no single field can check: values of a recipe that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from data_builders.source_specs import BUILT_IN, OWN_SOURCE, TEST_SETS
from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.recipe.evaluation import short_name
from orchestrator.recipe.own_code import REWARD, own_function
from orchestrator.recipe.policy import BASE, GRAMMAR, Policy, parse_policy
from orchestrator.recipe.rl import RewardSpec
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.stages import RESERVED, RlStage, SampleStage, TrainingStage, ordered

SETS = ("sft", "rl", "test")
"""Question sets that the data stage always leaves."""


def broken_rules(recipe: Recipe) -> list[str]:
    """One line a contradiction: key, what was found, how to mend it."""
    of_all = (_data, _frames, _tags, _tasks, _policies, _questions, _benchmarks)
    problems = [problem for check in of_all for problem in check(recipe)]
    for name, spec in recipe.stages.items():
        shared = set(_of_stage(recipe, spec.kind))
        for problem in _of_stage(recipe.at(name), spec.kind):
            own = problem.replace(f"{spec.kind}.", f"stages.{name}.")
            problems.append(problem if problem in shared else own)
    return list(dict.fromkeys(problems))


def _of_stage(recipe: Recipe, kind: str) -> Iterator[str]:
    """Rules of one stage, whose keys are those of its kind's section in `recipe`."""
    checks = {"sft": (_sft,), "rl": (_rl, _reward, _devices), "sample": (_sample,)}[kind]
    for check in checks:
        yield from check(recipe)


def _data(recipe: Recipe) -> Iterator[str]:
    data, named = recipe.data, {*(recipe.data.files or {})}
    for name in ("synthetic", "camerabench", "shotqa", "folder"):
        listed = name in data.sources
        if listed != (getattr(data, name) is not None):
            yield (
                f"data.sources: {list(data.sources)} and data.{name} "
                f"{'is not' if listed else 'is'} given; list `{name}` and describe it, or neither"
            )
    for name in data.sources:
        if name not in {*BUILT_IN, *named} and (problem := _own_source(name)):
            known = ", ".join((*BUILT_IN, *sorted(named)))
            yield f"data.sources: {problem}; known: {known}, and path/to/file.py:function"
    if taken := sorted(named & {*BUILT_IN}):
        yield f"data.files: {', '.join(taken)} is the name of a built-in source; choose another"
    yield from _traces(recipe)
    trained = {name for name in data.sources if name not in TEST_SETS}
    if data.camerabench is not None and data.camerabench.train_annotations is None:
        trained.discard("camerabench")
    if data.weights is not None and set(data.weights) != trained:
        yield (
            f"data.weights: {sorted(data.weights)} weighed, but the sources with training "
            f"questions are {sorted(trained)}; weigh each of them"
        )
    if data.weights is not None and min(data.weights.values(), default=1) <= 0:
        yield f"data.weights: {data.weights} must be above 0; leave the source out of data.sources"


def _own_source(name: str) -> str | None:
    """What is wrong with a source that is a function of the user's own."""
    try:
        own_function(name)
    except ValueError as error:
        return str(error)
    return None


def _traces(recipe: Recipe) -> Iterator[str]:
    data, listed, bare = recipe.data, set(recipe.data.sources), recipe.bare_answers
    if bare and data.trajectories is not None:
        yield "data.trajectories: SFT imitates bare answers (no prompt tags); set it to null"
    if not bare and "shotqa" in listed:
        yield "sft.prompt.tags: shotqa brings answers without traces; set it to []"
    yield from _served(recipe)
    teachable = listed - {"synthetic", "shotqa", *TEST_SETS}
    if data.trajectories is not None and not teachable:
        yield (
            "data.trajectories: are written for training questions of camerabench, folder, "
            "data.files and functions of your own, which data.sources does not list"
        )
    brings = listed - {"camerabench", "shotqa", *TEST_SETS}
    if not bare and data.trajectories is None and not brings:
        yield (
            f"data.trajectories: null leaves SFT nothing to imitate: {list(data.sources)} bring no "
            "traces; describe the teacher, or add synthetic to data.sources"
        )


def _served(recipe: Recipe) -> Iterator[str]:
    """Models that the data stage serves itself."""
    own = recipe.data.trajectories
    endpoints = [e for e in (own.teacher, own.judge) if e and e.serve is not None] if own else []
    if endpoints and recipe.cluster.device == "cpu":
        yield "data.trajectories: serve starts vLLM, which needs cluster.device=cuda"
    if len({e.base_url for e in endpoints}) < len(endpoints):
        yield "data.trajectories: teacher and judge are served at one base_url; give them two ports"


def _frames(recipe: Recipe) -> Iterator[str]:
    specs: list[tuple[str, FrameSpec | None]] = [
        ("frames", recipe.frames),
        ("sft.frames", recipe.sft.frames),
        ("rl.frames", recipe.rl.frames),
        ("eval.frames", recipe.eval.frames),
        *((f"stages.{name}.frames", spec.frames) for name, spec in recipe.stages.items()),
    ]
    for key, spec in specs:
        if spec is None:
            continue
        if spec.min_frames > spec.max_frames:
            yield f"{key}.min_frames: {spec.min_frames} is above max_frames {spec.max_frames}"
        if spec.min_pixels > spec.max_pixels:
            yield f"{key}.min_pixels: {spec.min_pixels} is above max_pixels {spec.max_pixels}"
        still = spec.of("image")
        if still.min_pixels > still.max_pixels:
            yield (
                f"{key}.image_min_pixels: {still.min_pixels} is above image_max_pixels "
                f"{still.max_pixels}"
            )
        if spec.max_pixels < spec.multiple**2:
            patch = f"{spec.multiple}x{spec.multiple}"
            yield f"{key}.max_pixels: {spec.max_pixels} holds not even one {patch} patch"


def _tags(recipe: Recipe) -> Iterator[str]:
    if "answer" not in recipe.prompt.tags:
        yield f"prompt.tags: {list(recipe.prompt.tags)} has no answer, which is what is scored"
    taught = (recipe.sft.prompt or recipe.prompt).tags
    if unknown := sorted({*recipe.prompt.tags, *taught} - {"observation", "think", "answer"}):
        yield f"prompt.tags, sft.prompt.tags: samples have no {', '.join(unknown)}"


def _policies(recipe: Recipe) -> Iterator[str]:
    """A stage can only start from, and evaluation ask, a checkpoint that is saved before."""
    if reserved := sorted(RESERVED & recipe.stages.keys()):
        yield f"stages: {', '.join(reserved)} is the name of another part of a run; choose another"
    for name in question_sets(recipe):
        if isinstance(recipe.stages.get(name), SampleStage):
            yield f"stages.{name}: samples a set of questions, and {name} is one of data.sources'"
    if taken := sorted({BASE, *recipe.stages, *recipe.checkpoints} & recipe.eval.models.keys()):
        yield f"eval.models: {', '.join(taken)} names a policy of this recipe; choose another"
    named = [(f"stages.{name}.start", spec.start) for name, spec in recipe.stages.items()]
    for key, name in (*named, *(("eval.checkpoints", name) for name in recipe.checkpoints)):
        yield from _policy(recipe, key, parse_policy(name))
    try:
        list(ordered(recipe.stages))
    except ValueError as error:
        yield f"stages: {error}"


def _policy(recipe: Recipe, key: str, policy: Policy) -> Iterator[str]:
    spec = recipe.stages.get(policy.stage)
    if spec is None and policy.stage != BASE:
        known = ", ".join([BASE, *recipe.stages])
        yield f"{key}: {policy} names no stage of this recipe ({known}): {GRAMMAR}"
    elif isinstance(spec, SampleStage):
        yield f"{key}: {policy.stage} samples questions and trains no policy"
    elif spec is None and policy.unit != "last":
        yield f"{key}: {policy} is the base model, which has no checkpoints"
    elif spec is not None:
        yield from _saved(key, policy, spec)


def _saved(key: str, policy: Policy, spec: TrainingStage) -> Iterator[str]:
    name, unit, number = policy.stage, policy.unit, policy.number
    if unit == "epoch" and isinstance(spec, RlStage):
        yield f"{key}: {policy}: {name} saves steps, not epochs; name a multiple of its save_every"
    elif unit == "epoch" and spec.save_every != "epoch":
        yield f"{key}: {policy} is not saved; set {spec.kind}.save_every=epoch"
    elif unit == "epoch" and spec.max_steps is None and number > spec.epochs:
        yield f"{key}: {policy} is beyond {spec.kind}.epochs {spec.epochs:g}"
    elif unit == "step" and spec.max_steps is not None and number > spec.max_steps:
        yield f"{key}: {policy} is beyond {spec.kind}.max_steps {spec.max_steps}"
    elif unit == "step" and not _is_saved(number, spec):
        yield f"{key}: {policy} is not saved with {spec.kind}.save_every={spec.save_every}"


def _is_saved(step: int, spec: TrainingStage) -> bool:
    """The end of training is saved too."""
    return step == spec.max_steps or (spec.save_every != "epoch" and step % spec.save_every == 0)


def _questions(recipe: Recipe) -> Iterator[str]:
    """Question sets that a stage names exist when it starts."""
    sets = question_sets(recipe)
    sampling = [name for name, s in recipe.stages.items() if isinstance(s, SampleStage)]
    open_ended = any(re.fullmatch(OWN_SOURCE, name) for name in recipe.data.sources)
    for name, spec in recipe.stages.items():
        if spec.questions in (*sets, *sampling):
            continue
        if spec.questions in recipe.stages:
            yield f"stages.{name}.questions: {spec.questions} trains, and leaves no questions"
        elif not open_ended:  # a function of the user's own returns sets by names of its own
            known = ", ".join([*sets, *sampling])
            yield f"stages.{name}.questions: no set called {spec.questions}; there are {known}"


def question_sets(recipe: Recipe) -> list[str]:
    """Question sets that the data stage is known to leave."""
    files = (recipe.data.files or {}).items()
    named = [name for source, spec in files if source in recipe.data.sources for name in spec.sets]
    return list(dict.fromkeys([*SETS, *named]))


def _sft(recipe: Recipe) -> Iterator[str]:
    if recipe.cluster.device == "cpu" and recipe.sft.precision == "bf16":
        yield "sft.precision: training on a cpu is proven in fp32 only"


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
    if rl.trainer == "verl" and rl.freeze_vision_tower:
        yield (
            "rl.freeze_vision_tower: verl 0.9.1 declares this key and reads it nowhere; set it "
            "to false, or rl.trainer=easyr1"
        )


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


def _tasks(recipe: Recipe) -> Iterator[str]:
    for key, prompt in _prompts(recipe):
        if prompt is not None and (prompt.tails or prompt.systems):
            where = "tasks.<name>.tail and tasks.<name>.system"
            yield f"{key}.tails, {key}.systems: say them as {where}"
    stages = recipe.stages.values()
    in_easyr1 = any(isinstance(s, RlStage) and s.trainer == "easyr1" for s in stages)
    for name, task in recipe.tasks.items():
        if task.system is not None and in_easyr1:
            yield f"tasks.{name}.system: EasyR1 has one system turn for all; write it in the tail"
        if ".py:" in task.grader:
            try:
                own_function(task.grader, alone=False)
            except ValueError as error:
                yield f"tasks.{name}.grader: {error}"


def _prompts(recipe: Recipe) -> Iterator[tuple[str, PromptSpec | None]]:
    """Every prompt by its key: the recipe's, the kinds', and the stages' where it is another."""
    yield "prompt", recipe.prompt
    kinds = {"sft": recipe.sft.prompt, "rl": recipe.rl.prompt, "sample": recipe.sample.prompt}
    yield from ((f"{kind}.prompt", prompt) for kind, prompt in kinds.items())
    for name, stage in recipe.stages.items():
        if stage.prompt != kinds[stage.kind]:
            yield f"stages.{name}.prompt", stage.prompt


def _benchmarks(recipe: Recipe) -> Iterator[str]:
    for name in recipe.eval.benchmarks:
        if short_name(name) != name:
            try:
                own_function(name)
            except ValueError as error:
                yield f"eval.benchmarks: {error}"


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
    yield from _flash_attention(recipe)
    on_cpu, generates = recipe.cluster.device == "cpu", recipe.rl.rollout.engine == "hf"
    if generates and not on_cpu:
        yield "rl.rollout.engine: hf with cluster.device=cuda; it is for a cpu, use vllm"
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
