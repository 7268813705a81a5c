"""What EasyR1 needs to run small: questions, a random model, a configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import reward_plugins.reward
from data_builders.media import video
from data_builders.sample import Sample
from data_builders.tiny_model import CHAT_TEMPLATE, SPECIAL_TOKENS

PIXELS = 56 * 56
REWARD = f"{reward_plugins.reward.__file__}:compute_scores"


def questions() -> list[Sample]:
    """Eight questions of two tasks about two clips."""
    tasks = {"binary": ("Yes", "No"), "choice": ("pan left", "pan right", "static")}
    rows = [(task, clip, answer) for task in tasks for clip in range(2) for answer in "AB"]
    return [
        Sample(
            id=f"{task}-{clip}-{answer}",
            dataset="tiny",
            split="train",
            task=task,
            category="pan",
            media=(video(f"{clip}.mp4"),),
            question="How does the camera move?",
            options=tasks[task],
            answer=answer,
        )
        for task, clip, answer in rows
    ]


def build(out: Path, texts: list[str]) -> None:
    """A random Qwen2.5-VL with head_dim 64, which vLLM's CPU attention has kernels for."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = _tokenizer(out, texts)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    config = Qwen2_5_VLConfig(**_text(len(tokenizer), ids), vision_config=_vision(), **_places(ids))
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config).float()
    model.save_pretrained(out)
    _processor(tokenizer).save_pretrained(out)


def _tokenizer(out: Path, texts: list[str]) -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import Qwen2TokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    bpe.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    out.mkdir(parents=True)
    bpe.save(str(out / "tokenizer.json"))
    return Qwen2TokenizerFast(
        tokenizer_file=str(out / "tokenizer.json"),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token=None,
        bos_token=None,
        additional_special_tokens=list(SPECIAL_TOKENS[1:]),
        chat_template=CHAT_TEMPLATE,
    )


def _processor(tokenizer: Any) -> Any:
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    size = {"shortest_edge": 784, "longest_edge": PIXELS}
    patches = {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    pixels = {"size": size, "min_pixels": 784, "max_pixels": PIXELS, **patches}
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**pixels),
        video_processor=Qwen2VLVideoProcessor(**pixels, do_sample_frames=False),
        tokenizer=tokenizer,
        chat_template=CHAT_TEMPLATE,
    )


def _text(tokens: int, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": -(-tokens // 64) * 64,
        "hidden_size": 128,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [8, 12, 12]},
        "tie_word_embeddings": False,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _vision() -> dict[str, Any]:
    return {
        "depth": 2,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "out_hidden_size": 128,
        "window_size": 112,
        "fullatt_block_indexes": [1],
        "tokens_per_second": 2,
    }


def _places(ids: dict[str, int]) -> dict[str, int]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }


def config(workspace: Path, checkpoints: Path) -> dict[str, Any]:
    """EasyR1's configuration, with keys that v0.3.2 and main b44b311 both have."""
    data = str(workspace / "rl.json")
    return {
        "data": {
            "train_files": data,
            "val_files": data,
            "prompt_key": "problem",
            "answer_key": "answer",
            "video_key": "videos",
            "video_fps": 2.0,
            "min_pixels": 784,
            "max_pixels": PIXELS,
            "max_prompt_length": 128,
            "max_response_length": 12,
            "rollout_batch_size": 4,
            "val_batch_size": 4,
            "filter_overlong_prompts_workers": 1,
        },
        "algorithm": {"adv_estimator": "ema_grpo", "kl_coef": 1e-06, "use_kl_loss": True},
        "worker": _worker(workspace),
        "trainer": {
            "max_steps": 2,
            "logger": ["console", "file"],
            "n_gpus_per_node": 1,
            "val_before_train": False,
            "save_freq": 1,
            "save_checkpoint_path": str(checkpoints),
        },
    }


def _worker(workspace: Path) -> dict[str, Any]:
    return {
        "actor": {
            "global_batch_size": 2,
            "micro_batch_size_per_device_for_update": 4,
            "micro_batch_size_per_device_for_experience": 4,
            "padding_free": False,
            "dynamic_batching": False,
            "use_torch_compile": False,
            "model": {"model_path": str(workspace / "model")},
            "optim": {"lr": 1e-03},
            "fsdp": {"torch_dtype": "fp32", "mp_param_dtype": "fp32"},
        },
        "rollout": {
            "n": 4,
            "dtype": "fp32",
            "tensor_parallel_size": 1,
            "enforce_eager": True,
            "max_num_batched_tokens": 4096,
        },
        "reward": {
            "reward_function": REWARD,
            "reward_function_kwargs": {"format_weight": 0.1, "tasks": ["binary", "choice"]},
        },
    }


def truth(task: str) -> str:
    """The JSON that a question's ground truth is, as far as the estimator reads it."""
    return json.dumps({"answer": "A", "task": task})
