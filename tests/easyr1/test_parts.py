"""EasyR1's own parts, in this process, on what we hand it: configuration, data, reward."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

if not os.environ.get("EASYR1_HOME"):
    pytest.skip("EASYR1_HOME names no EasyR1 checkout", allow_module_level=True)

import numpy as np
import torch
import verl.trainer.main as easyr1
from omegaconf.errors import ConfigKeyError, ValidationError
from PIL import Image
from tiny import questions
from verl.protocol import DataProto
from verl.utils.dataset import RLHFDataset
from verl.utils.tokenizer import get_processor, get_tokenizer
from verl.workers import reward as easyr1_reward

from data_builders.export import to_easyr1
from data_builders.frames import materialise
from data_builders.media import image
from data_builders.specs import FrameSpec, PromptSpec
from reward_plugins.easyr1_plugin import checkout
from reward_plugins.easyr1_plugin.launch import WORKER_ENV, LaunchConfig, run_easyr1, with_system


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from our configuration to what EasyR1's `main` makes of it."""
    received: list[Any] = []
    remote = SimpleNamespace(run=SimpleNamespace(remote=received.append))
    ray = SimpleNamespace(is_initialized=lambda: True, get=lambda ref: ref)
    monkeypatch.setattr(easyr1, "Runner", SimpleNamespace(remote=lambda: remote))
    monkeypatch.setattr(easyr1, "ray", ray)

    def parse(config: dict[str, Any]) -> Any:
        run_easyr1(config)
        return received.pop()

    return parse


def test_its_loader_takes_our_configuration(parsed: Any, config: dict[str, Any]) -> None:
    read = parsed(config)
    assert read.algorithm.adv_estimator == "ema_grpo"
    assert (read.worker.actor.kl_coef, read.worker.actor.use_kl_loss) == (1e-6, True)
    assert read.worker.reward.reward_function_name == "compute_scores"
    assert Path(read.worker.reward.reward_function).name == "reward.py"
    assert read.worker.reward.reward_function_kwargs["tasks"] == ["binary", "choice"]
    assert read.trainer.save_checkpoint_path == config["trainer"]["save_checkpoint_path"]


def test_its_loader_rejects_what_it_does_not_know(parsed: Any, config: dict[str, Any]) -> None:
    with pytest.raises(ConfigKeyError, match="ema_beta"):
        parsed({**config, "algorithm": {"ema_beta": 0.9}})
    with pytest.raises(ValidationError, match="many"):
        parsed({**config, "trainer": {"max_steps": "many"}})


def test_workers_get_the_environment_that_easyr1_gives_them() -> None:
    source = Path(easyr1.__file__).read_text(encoding="utf-8")
    dictionaries = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict)]
    (env,) = [
        ast.literal_eval(node)
        for node in dictionaries
        if any(isinstance(key, ast.Constant) and key.value == "NCCL_DEBUG" for key in node.keys)
    ]
    assert env.items() <= WORKER_ENV.items()


def test_the_run_has_an_environment_of_its_own(config: dict[str, Any]) -> None:
    launch = LaunchConfig(easyr1=config, env={"OMP_NUM_THREADS": "1"})
    runtime = launch.runtime_env(Path("/easyr1"))
    assert runtime["worker_process_setup_hook"] == "reward_plugins.easyr1_plugin.hooks.install"
    assert runtime["env_vars"]["PYTHONPATH"].startswith("/easyr1" + os.pathsep)
    assert json.loads(runtime["env_vars"]["CAMREASONER_EMA"])["beta"] == 0.99
    assert runtime["env_vars"]["OMP_NUM_THREADS"] == "1"


def make_dataset(config: dict[str, Any]) -> Any:
    data, model = config["data"], config["worker"]["actor"]["model"]["model_path"]
    names = ("prompt_key", "answer_key", "video_key", "video_fps", "max_prompt_length")
    return RLHFDataset(
        data["train_files"],
        get_tokenizer(model, trust_remote_code=False, use_fast=True),
        get_processor(model, trust_remote_code=False, use_fast=True),
        min_pixels=data["min_pixels"],
        max_pixels=data["max_pixels"],
        filter_overlong_prompts_workers=1,
        **{name: data[name] for name in names},
    )


def test_its_dataset_reads_our_questions_with_their_clips(config: dict[str, Any]) -> None:
    dataset = make_dataset(config)
    row = dataset[0]
    video = dataset.tokenizer.convert_tokens_to_ids("<|video_pad|>")
    assert len(dataset) == 8
    assert int((row["input_ids"] == video).sum()) == 2 * 2 * 2  # 4 frames, 56x56: 2x2x2 tokens
    assert json.loads(row["ground_truth"])["task"] == "binary"
    assert row["multi_modal_data"]["videos"]


def test_its_dataset_reads_our_images_among_texts(config: dict[str, Any], tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (56, 28, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "i.png")
    spec = FrameSpec(fps=2.0, min_frames=4, max_frames=4, min_pixels=784, max_pixels=56 * 56)
    index = materialise(["i.png"], tmp_path, tmp_path / "cache", spec)
    still, [asked, *_] = image("i.png"), questions()
    shown = [(), (still,), (still, still)]
    samples = [asked.model_copy(update={"media": media}) for media in shown]
    to_easyr1(samples, index, PromptSpec(), tmp_path / "rl.json")
    data = {**config["data"], "train_files": str(tmp_path / "rl.json")}
    dataset = make_dataset({**config, "data": data})
    pad = dataset.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    assert [int((dataset[n]["input_ids"] == pad).sum()) for n in range(3)] == [0, 2, 4]
    assert [len(dataset[n]["multi_modal_data"]["images"]) for n in range(3)] == [0, 1, 2]


def test_every_prompt_begins_with_the_system_turn(parsed: Any, config: dict[str, Any]) -> None:
    asked = 'Say "{{ B }}" — {% 100 \'% %} sûr\n\U0001f3a5.'
    read = parsed(with_system(config, asked, checkout.locate()))
    policy, template = config["worker"]["actor"]["model"]["model_path"], read.data
    processor = get_processor(policy, override_chat_template=template.override_chat_template)
    plain = make_dataset(config)
    question = plain._build_messages(plain.dataset[0])
    turn = f"<|im_start|>system\n{asked}<|im_end|>\n"
    told = processor.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    own = [{"role": "system", "content": asked}, *question]
    assert told.startswith(turn)
    assert told == plain.processor.apply_chat_template(
        own, add_generation_prompt=True, tokenize=False
    )
    assert with_system(config, "", checkout.locate()) == config


def test_its_reward_manager_scores_with_our_function(
    parsed: Any, config: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    reward = parsed(config).worker.reward
    tokenizer = get_tokenizer(config["worker"]["actor"]["model"]["model_path"], use_fast=True)
    trace = "<observation>x</observation><think>y</think><answer>{}</answer>"
    texts = [trace.format("A"), trace.format("No"), "A", trace.format("A. Yes")]
    rows = [torch.tensor(tokenizer.encode(text, add_special_tokens=False)) for text in texts]
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    truth = {"answer": "A", "options": ["Yes", "No"], "task": "binary", "sample_id": "s"}
    columns = {"responses": padded, "response_mask": mask}
    truths = np.array([json.dumps(truth)] * 4, dtype=object)
    data = DataProto.from_single_dict({**columns, "ground_truth": truths})
    auto = hasattr(easyr1_reward, "AutoRewardManager")
    manager = getattr(easyr1_reward, "AutoRewardManager" if auto else "BatchFunctionRewardManager")
    scores, metrics = manager(reward, tokenizer).compute_reward(data)
    assert scores.sum(-1).tolist() == pytest.approx([1.0, 0.1, 0.0, 1.0])
    assert torch.equal(scores.nonzero()[:, 1], lengths[[0, 1, 3]] - 1)
    assert metrics["accuracy"] == [1.0, 0.0, 0.0, 1.0]
    assert ("camreasoner" in capsys.readouterr().out) == auto
