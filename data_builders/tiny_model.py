"""Build a small random Qwen2.5-VL offline: `python -m data_builders.tiny_model <config.json>`.

Runs in the SFT environment (transformers 5.6); what it writes also loads under 5.9. The
tokenizer is a byte-level BPE trained on the recipe's own questions and traces, so that a word
of the recipe is a token and responses are short.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from data_builders.prompt import trace_text, user_text
from data_builders.sample import Sample, read_samples
from data_builders.specs import FrameSpec, PromptSpec, TinyModelSpec
from reward_plugins.files import remove, replacement

log = logging.getLogger(__name__)

PATCH, MERGE, TEMPORAL_PATCH = 14, 2, 2
"""Qwen2.5-VL's patch size, spatial merge and frames a temporal patch."""

END_OF_TEXT, END_OF_TURN = "<|endoftext|>", "<|im_end|>"
SPECIAL_TOKENS = (
    END_OF_TEXT,
    "<|im_start|>",
    END_OF_TURN,
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# Qwen2.5-VL's own (Qwen/Qwen2.5-VL-7B-Instruct, chat_template.json).
CHAT_TEMPLATE = (
    "{% set image_count = namespace(value=0) %}{% set video_count = namespace(value=0) %}"
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}"
    "{{ message['content'] }}<|im_end|>\n{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}{% if add_vision_id %}"
    "Picture {{ image_count.value }}: {% endif %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif content['type'] == 'video' or 'video' in content %}"
    "{% set video_count.value = video_count.value + 1 %}{% if add_vision_id %}"
    "Video {{ video_count.value }}: {% endif %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

# Qwen2's pre-tokenizer (transformers, models/qwen2/tokenization_qwen2.py: PRETOKENIZE_REGEX).
PRETOKENIZER = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TinyModelConfig(BaseModel):
    """What the stage reads and writes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: TinyModelSpec
    prompt: PromptSpec
    frames: FrameSpec
    samples: Path
    """Parquet of `data_builders.sample`: the text the tokenizer is trained on."""
    out: Path
    """Checkpoint directory; replaced when it exists."""


def build(config: TinyModelConfig) -> int:
    """Write the checkpoint directory, atomically, and return its number of parameters."""
    texts = corpus(read_samples(config.samples), config.prompt)
    tokenizer = train_tokenizer(texts, config.model.vocabulary)
    model = random_model(config.model, tokenizer)
    with replacement(config.out) as partial:
        model.save_pretrained(partial)
        _processor(tokenizer, config.frames).save_pretrained(partial)
        remove(config.out)
    return sum(parameter.numel() for parameter in model.parameters())


def corpus(samples: list[Sample], prompt: PromptSpec) -> Iterator[str]:
    """The conversations of `samples`, with the trace where there is one."""
    for sample in samples:
        answer = "" if sample.think is None else trace_text(sample, prompt)
        system, user = prompt.system_of(sample.task), user_text(sample, prompt)
        yield f"system\n{system}\nuser\n{user}\nassistant\n{answer}\n"


def train_tokenizer(texts: Iterator[str], vocabulary: int) -> Any:
    """A `Qwen2Tokenizer` with Qwen's special tokens and at most `vocabulary` others."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(PRETOKENIZER), "isolated"), byte_level]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    learned = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],
        unk_token=END_OF_TEXT,
        bos_token=None,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TEXT,
        model_max_length=32768,
        additional_special_tokens=list(SPECIAL_TOKENS),
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def random_model(spec: TinyModelSpec, tokenizer: Any) -> Any:
    """A `Qwen2_5_VLForConditionalGeneration` in fp32, its weights drawn from `spec.seed`."""
    import torch
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    torch.manual_seed(spec.seed)
    model = Qwen2_5_VLForConditionalGeneration(_model_config(spec, len(tokenizer), ids)).float()
    model.generation_config = GenerationConfig(
        bos_token_id=ids[END_OF_TEXT],
        eos_token_id=[ids[END_OF_TURN], ids[END_OF_TEXT]],
        pad_token_id=ids[END_OF_TEXT],
        do_sample=False,
    )
    return model


def _model_config(spec: TinyModelSpec, tokens: int, ids: dict[str, int]) -> Any:
    from transformers import Qwen2_5_VLConfig

    ends = {
        "bos_token_id": ids[END_OF_TEXT],
        "eos_token_id": ids[END_OF_TURN],
        "pad_token_id": ids[END_OF_TEXT],
        "tie_word_embeddings": True,
    }
    return Qwen2_5_VLConfig(
        text_config=_text_config(spec, tokens) | ends,
        vision_config=_vision_config(spec),
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        **ends,
    )


def _text_config(spec: TinyModelSpec, tokens: int) -> dict[str, Any]:
    pairs = spec.hidden // spec.heads // 2
    time = pairs // 4
    height = (pairs - time) // 2
    return {
        "vocab_size": -(-tokens // 64) * 64,
        "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "max_position_embeddings": 4096,
        "initializer_range": spec.initializer_range,
        "rope_theta": 10000.0,
        "rope_scaling": {"type": "mrope", "mrope_section": [pairs - 2 * height, height, height]},
    }


def _vision_config(spec: TinyModelSpec) -> dict[str, Any]:
    return {
        "depth": spec.vision_layers,
        "hidden_size": spec.vision_hidden,
        "num_heads": spec.vision_heads,
        "intermediate_size": spec.vision_intermediate,
        "out_hidden_size": spec.hidden,
        "patch_size": PATCH,
        "spatial_merge_size": MERGE,
        "temporal_patch_size": TEMPORAL_PATCH,
        "window_size": 112,
        "fullatt_block_indexes": [spec.vision_layers - 1],
        "tokens_per_second": 2,
        "initializer_range": spec.initializer_range,
    }


def _processor(tokenizer: Any, frames: FrameSpec) -> Any:
    """The processor's default sizes would scale every frame up to 100,000 pixels."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor

    least = min(frames.min_pixels, frames.of("image").min_pixels)
    size = {
        "shortest_edge": least,
        "longest_edge": max(frames.max_pixels, frames.of("image").max_pixels),
    }
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(size=size),
        chat_template=CHAT_TEMPLATE,
    )


def main(arguments: list[str]) -> None:
    """Read the config named on the command line and build the model."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = TinyModelConfig.model_validate_json(Path(arguments[0]).read_text())
    parameters = build(config)
    log.info("wrote a random Qwen2.5-VL of %s parameters to %s", f"{parameters:,}", config.out)


if __name__ == "__main__":
    main(sys.argv[1:])
