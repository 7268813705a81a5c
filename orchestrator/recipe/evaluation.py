"""Evaluation: who answers which questions, and how."""

import math
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from data_builders.source_specs import BenchmarkName, RepositoryFile
from data_builders.specs import FrameSpec, Spec, SyntheticSpec
from data_builders.trajectory_specs import EndpointSpec
from orchestrator.evaluation.judge_specs import JudgeSpec
from orchestrator.recipe.policy import PolicyName

OwnBenchmark = Annotated[str, Field(pattern=r"^[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*$")]
"""`path/to/file.py:name`: a function that makes the questions of a benchmark of your own."""
TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class EvaluatedModel(Spec):
    """Another model to compare with: give `path`, or `base_url` and `model`, or `predictions`."""

    path: str | None = None
    """Hub id or local directory."""
    revision: str = "main"
    """Commit of a Hub id; a branch is followed at the first fetch only."""
    base_url: str | None = None
    """Address of an OpenAI-compatible server, up to and with the version."""
    model: str | None = None
    """The name that the server gives the model."""
    predictions: dict[str, str | RepositoryFile] = Field(default={})
    """Files of answers by benchmark, here or in a repository, as lmms-eval, VLMEvalKit or
    CamReasoner's released evaluation writes them."""

    @model_validator(mode="after")
    def _one_kind(self) -> "EvaluatedModel":
        if (self.base_url is None) != (self.model is None):
            raise ValueError("a server needs both base_url and model")
        if sum(map(bool, (self.path, self.base_url, self.predictions))) != 1:
            raise ValueError("give one of: path; base_url and model; predictions")
        return self

    @property
    def folder(self) -> str:
        """What a model with a `path` is called where it is kept."""
        name = str(self.path).strip("/").replace("/", "--")
        return name if self.revision == "main" else f"{name}@{self.revision}"


class ServerSpec(Spec):
    """How servers are asked."""

    media: Literal["video", "images"]
    """Frames as one lossless clip (vLLM, SGLang), or as a picture each (hosted APIs)."""
    api_key_variable: str
    """Environment variable that holds the key; servers of one's own need none."""
    concurrency: int = Field(gt=0)
    """Requests under way at a time."""
    requests_per_minute: float | None = Field(gt=0)
    """At most so many new requests a minute; null for no limit."""
    seconds: float = Field(gt=0)
    """Longest wait for an answer, each attempt."""
    attempts: int = Field(gt=0)
    """Tries of a request, with growing pauses."""
    top_logprobs: int | None = Field(gt=0)
    """Likeliest tokens asked for at each place, for the options' probabilities (OpenAI and vLLM: at
    most 20); an option beyond them counts 0. Null for servers that refuse to tell."""
    extra_body: dict[str, Any]
    """Passed to the server as it is."""
    dollars_per_million: tuple[float, float]
    """Price of a million prompt and a million answer tokens."""

    def asks(self, model: str, base_url: str, max_tokens: int) -> dict[str, Any]:
        """The JSON of an `orchestrator.evaluation.config.Server`."""
        apart = {"media", "top_logprobs"}
        named = {"model": model, "base_url": base_url}
        endpoint = EndpointSpec.model_validate(
            {
                **self.model_dump(exclude=apart),
                **named,
                "temperature": 0.0,
                "max_tokens": max_tokens,
            }
        )
        return {"endpoint": endpoint.model_dump(mode="json"), **self.model_dump(include=apart)}


def short_name(benchmark: str) -> str:
    """What a benchmark is called in files and tables: the function of one's own."""
    return benchmark.rpartition(":")[2]


class EvalSpec(Spec):
    """Which checkpoints answer which questions, and how."""

    checkpoints: tuple[PolicyName, ...] | None
    """This recipe's policies to evaluate, `base | <stage>[:last|epoch:N|step:N]`. Null: the base,
    each policy that a stage starts from, and the last of each that no stage starts from."""
    models: dict[ModelName, EvaluatedModel]
    """Other models, by the name they carry in the tables."""
    benchmarks: tuple[BenchmarkName | OwnBenchmark, ...] = Field(min_length=1)
    """Sets of questions: `held_out` is the test questions of `data.sources`, others are published,
    and `path/to/file.py:name` is one of your own, called `name` (examples/benchmarks)."""
    synthetic: SyntheticSpec | None
    """Clips of the benchmark `synthetic`."""
    external: tuple[TaskName, ...]
    """Benchmarks that lmms-eval runs on the checkpoint directories, by its names (vsibench)."""
    external_path: str | None
    """Folder of more tasks for lmms-eval, such as what `make export` writes; null for its own."""
    external_model: str
    """lmms-eval's name for the backbone, such as `qwen2_5_vl`."""
    frames: FrameSpec | None
    """Frames this stage sees, when not the recipe's own; the plan then shows the skew."""
    engine: Literal["hf", "vllm"]
    """What generates the answers of checkpoints and of models with a `path`."""
    vllm: dict[str, Any]
    """Arguments of vLLM's `LLM` for the engine `vllm`, passed through verbatim: `max_model_len`
    (otherwise the backbone's own, 128,000 tokens), `gpu_memory_utilization`, ..."""
    engines: int | None = Field(gt=0)
    """Engines that answer side by side, each on its share of the GPUs; null for as many as they
    hold (one GPU each, or `vllm.tensor_parallel_size`), and for one on a CPU."""
    server: ServerSpec
    """How models behind servers are asked."""
    judge: JudgeSpec | None
    """Who reads the responses, for RefineShot's scores of reliability; null for nobody."""
    batch_size: int = Field(gt=0)
    """Questions answered at once."""
    max_new_tokens: int = Field(gt=0)
    """Most tokens of an answer."""
    swap_control: bool
    """Also ask every question about another clip: a policy that looks must fall to chance."""
    max_questions: int | None = Field(gt=0)
    """Most questions of each benchmark; null for all."""

    @property
    def gpus_per_engine(self) -> int:
        """GPUs that one engine is spread over."""
        spread = ("tensor_parallel_size", "pipeline_parallel_size")
        return math.prod(int(self.vllm.get(key, 1)) for key in spread)

    @model_validator(mode="after")
    def _consistent(self) -> "EvalSpec":
        if self.vllm and self.engine != "vllm":
            raise ValueError("eval.vllm: has no effect without eval.engine=vllm; set it to {}")
        if self.checkpoints == () and not self.models:
            raise ValueError("eval.checkpoints and eval.models are both empty: name what to ask")
        for names in (
            self.checkpoints or (),
            tuple(map(short_name, self.benchmarks)),
            self.external,
        ):
            if len(set(names)) < len(names):
                raise ValueError(f"{', '.join(names)} names something twice")
        known = {short_name(name) for name in self.benchmarks}
        for name, model in self.models.items():
            if strange := sorted(set(model.predictions) - known):
                raise ValueError(
                    f"eval.models.{name}.predictions: {', '.join(strange)} is not among "
                    f"eval.benchmarks ({', '.join(sorted(known))})"
                )
        if self.external_path and not self.external:
            raise ValueError("eval.external_path: name the tasks of that folder in eval.external")
        here = self.checkpoints != () or any(m.path for m in self.models.values())
        if self.external and not here:
            raise ValueError("eval.external: lmms-eval needs a checkpoint, or a model with a path")
        if ("synthetic" in self.benchmarks) and self.synthetic is None:
            raise ValueError("eval.benchmarks lists synthetic, but eval.synthetic is null")
        if self.judge and (foreign := set(self.judge.benchmarks) - known):
            raise ValueError(
                f"eval.judge.benchmarks: {', '.join(sorted(foreign))} is not in eval.benchmarks"
            )
        return self
