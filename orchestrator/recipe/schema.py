"""The whole recipe: sections shared by all stages, then one section a stage."""

from typing import Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from data_builders.source_specs import (
    CameraBenchSpec,
    FilesSpec,
    FolderSpec,
    ShotQaSpec,
    SourceName,
)
from data_builders.specs import FrameSpec, PromptSpec, Spec, SyntheticSpec, TinyModelSpec
from data_builders.trajectory_specs import TrajectorySpec
from orchestrator.recipe.evaluation import EvalSpec
from orchestrator.recipe.policy import Policy, StageName, parse_policy
from orchestrator.recipe.rl import RlSpec
from orchestrator.recipe.sample import SampleSpec
from orchestrator.recipe.sft import SftSpec
from orchestrator.recipe.stages import SftStage, StageSpec, evaluated, fill_stages
from orchestrator.recipe.tasks import TaskSpec


class ModelSpec(Spec):
    """The base policy."""

    path: str | None
    """Hub id or local directory of the base model; null when `build` makes one."""
    revision: str = "main"
    """Commit of a Hub id; a branch is followed at the first fetch only. No commit of one id is
    one of another: give both."""
    build: TinyModelSpec | None
    """Build a small random Qwen2.5-VL offline instead, with a tokenizer of the recipe's text."""

    @model_validator(mode="after")
    def _one_source(self) -> "ModelSpec":
        if (self.path is None) == (self.build is None):
            raise ValueError("give either model.path (a Hub id or directory) or model.build")
        return self


class DataSpec(Spec):
    """Where questions and clips come from."""

    sources: tuple[SourceName, ...] = Field(min_length=1)
    """Where questions come from, in order: built-in names, names of `data.files`, and functions of
    your own, `path/to/file.py:function`, which return question sets by name."""
    weights: dict[SourceName, float] | None = None
    """Share of each source among the training questions; null takes everything."""
    camerabench: CameraBenchSpec | None = None
    """Which of CameraBench's questions, when it is a source."""
    shotqa: ShotQaSpec | None = None
    """Files of ShotQA, when it is a source."""
    folder: FolderSpec | None = None
    """Your own clips and questions, when they are a source."""
    files: dict[SourceName, FilesSpec] | None = None
    """Published questions in the formats of LLaMA-Factory, EasyR1 and verl, by the name that the
    source then has; null drops an inherited one."""
    synthetic: SyntheticSpec | None = None
    """Clips rendered from a 3-D scene with a known camera path."""
    trajectories: TrajectorySpec | None = None
    """Who writes observation and thinking for training questions that have none, for SFT; null
    leaves it at the traces that come with the questions."""
    download_dir: str
    """Published data sets and paid replies, shared by all runs; relative to the project."""
    cache_dir: str
    """Content-addressed frame cache, shared by all runs; relative to the project."""
    max_quarantined: float = Field(ge=0, le=1)
    """Share of clips that may be unreadable before the stage fails."""
    workers: int = Field(gt=0)
    """Processes that render and decode."""

    @field_validator("files", mode="before")
    @classmethod
    def _kept(cls, files: Any) -> Any:
        if not isinstance(files, dict):
            return files
        return {name: spec for name, spec in files.items() if spec is not None} or None


class ReviewSpec(Spec):
    """How people check the trajectories."""

    sample: int = Field(gt=0)
    """Trajectories drawn for review (paper section 3.1: 500)."""
    port: int = Field(ge=0, le=65535)
    """Where the page is served, on this machine only; 0 for any free port."""


class RecoverySpec(Spec):
    """What happens when a stage dies or stands still."""

    max_attempts: int = Field(gt=0)
    """Starts of a stage by one command; each goes on from the newest whole checkpoint."""
    stall_minutes: float = Field(gt=0)
    """A stage that logs nothing and makes no progress for so long is ended and started again."""


class ClusterSpec(Spec):
    """The machines of the experiment."""

    address: str | None
    """An existing Ray cluster; null starts a local one."""
    device: Literal["cuda", "cpu"]
    """What the trainers compute on."""
    nodes: int = Field(gt=0)
    """Machines that train together."""
    gpus_per_node: int = Field(ge=0)
    """GPUs of a machine (paper appendix C.3: 4 H200); on a CPU, trainer processes."""
    cpus_per_stage: int = Field(gt=0)
    """CPU cores a stage reserves in Ray."""
    pin: str | None
    """Custom Ray resource that a stage must sit on, e.g. `node:trainer`; null for any node."""


class Recipe(Spec):
    """One experiment, from data to report."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Directory of the run, under `runs/`."""
    expected: str
    """How long the whole run takes, on what: shown when it starts."""
    seed: int = Field(ge=0)
    """Seed of every random choice."""
    model: ModelSpec
    """The base policy."""
    prompt: PromptSpec
    """The text around a question."""
    tasks: dict[str, TaskSpec] = Field(min_length=1)
    """The tasks of the questions, and how each is scored; a question of any other is an error."""
    frames: FrameSpec
    """The one rule for the frames of a clip."""
    data: DataSpec
    """Questions and clips."""
    stages: dict[StageName, StageSpec]
    """Training stages by name. Each says its `kind` (sft, rl, sample), its `start`, its set of
    `questions`, and what differs from the section of its kind; null drops an inherited one."""
    sft: SftSpec
    """Supervised fine-tuning: what all stages of this kind have in common."""
    rl: RlSpec
    """GRPO: what all stages of this kind have in common."""
    sample: SampleSpec
    """Sampling: what all stages of this kind have in common."""
    eval: EvalSpec
    """Answers of each checkpoint to each benchmark's questions."""
    review: ReviewSpec
    """People's check of the trajectories: `make review`."""
    recovery: RecoverySpec
    """What happens when a stage dies or stands still."""
    cluster: ClusterSpec
    """The machines."""
    loggers: tuple[Literal["tensorboard", "wandb", "trackio", "swanlab"], ...]
    """Where SFT and RL send their metrics, besides the run's own history; offline where a service
    has no key or can't be reached."""

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, values: Any) -> Any:
        return {**values, "stages": fill_stages(values)} if isinstance(values, dict) else values

    @model_serializer(mode="wrap")
    def _stated(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Of each stage what differs from the section of its kind, as a user would write it."""
        values: dict[str, Any] = dump(self)
        for name, spec in values.get("stages", {}).items():
            section = values.get(spec["kind"]) or {}
            own = {k: v for k, v in spec.items() if k not in section or section[k] != v}
            values["stages"][name] = own
        return values

    @property
    def taught_tags(self) -> tuple[str, ...]:
        """Blocks that SFT imitates of the set `sft`; none where it imitates answers alone."""
        stages = [s for s in self.stages.values() if isinstance(s, SftStage)]
        prompts = [spec.prompt for spec in stages if spec.questions == "sft"] or [self.sft.prompt]
        return tuple(dict.fromkeys(tag for p in prompts for tag in (p or self.prompt).tags))

    @property
    def bare_answers(self) -> bool:
        """SFT imitates answers alone, so that questions without a trace teach as well."""
        return not self.taught_tags

    def at(self, name: str) -> "Recipe":
        """The recipe as the stage called `name` sees it: itself in place of its kind's section."""
        spec = self.stages.get(name)
        if spec is None:
            return self
        return self.model_copy(update={spec.kind: spec, "prompt": spec.prompt or self.prompt})

    @property
    def checkpoints(self) -> tuple[str, ...]:
        """Names of the policies that are evaluated, in the order of the tables."""
        if self.eval.checkpoints is not None:
            return self.eval.checkpoints
        return evaluated({name: (spec.kind, spec.start) for name, spec in self.stages.items()})

    @property
    def policies(self) -> tuple[Policy, ...]:
        """Every policy that a stage starts from or that is evaluated, each once."""
        starts = [spec.start for spec in self.stages.values()]
        return tuple(dict.fromkeys(map(parse_policy, [*starts, *self.checkpoints])))

    @property
    def devices(self) -> int:
        """Trainer processes in all: GPUs, or logical ones on a CPU."""
        return self.cluster.nodes * self.cluster.gpus_per_node
