"""What no single field can check: values of a recipe that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from data_builders.source_specs import BUILT_IN, TEST_SETS
from data_builders.specs import FrameSpec, PromptSpec
from orchestrator.recipe.evaluation import short_name
from orchestrator.recipe.own_code import own_function
from orchestrator.recipe.policy_rules import policies, questions
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.stage_rules import of_stage
from orchestrator.recipe.stages import RlStage


def broken_rules(recipe: Recipe) -> list[str]:
    """One line a contradiction: key, what was found, how to mend it."""
    of_all = (_data, _frames, _tags, _tasks, policies, questions, _benchmarks)
    problems = [problem for check in of_all for problem in check(recipe)]
    for name, spec in recipe.stages.items():
        shared = set(of_stage(recipe, spec.kind))
        for problem in of_stage(recipe.at(name), spec.kind):
            own = problem.replace(f"{spec.kind}.", f"stages.{name}.")
            problems.append(problem if problem in shared else own)
    return list(dict.fromkeys(problems))


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
