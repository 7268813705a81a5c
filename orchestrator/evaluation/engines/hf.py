"""Hugging Face models: greedy, in padded batches, each clip seen and read once.

The prompt is built as in training: the processor's own video token count, `second_per_grid_ts`
from the effective fps, and the model's own M-RoPE, so that time positions are the ones learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from orchestrator.evaluation.engines import EngineError, Outcome, Request, Response
from orchestrator.evaluation.engines.options import find_options
from orchestrator.evaluation.engines.shared_prefix import Generated, generate

REMEMBERED_CLIPS = 8
"""Questions on one clip come side by side: a few suffice, whatever the batch size."""
VIDEO_TYPE = 2
"""Of `mm_token_type_ids` (transformers 5.9, modeling_qwen2_5_vl.py:1006)."""


class Vision(NamedTuple):
    """What the language model gets of a clip."""

    features: torch.Tensor
    """Visual tokens, `(n, hidden)`."""
    grid: torch.Tensor
    """`(3,)`: time, height and width in patches."""
    seconds: float
    """Between two steps in time: `second_per_grid_ts`."""


def load(checkpoint: Path, max_new_tokens: int) -> HuggingFaceEngine:
    """Read a checkpoint onto the GPU if there is one, else in float32 onto the CPU."""
    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        processor = AutoProcessor.from_pretrained(checkpoint)
        model = AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=torch.float32 if device == "cpu" else "auto"
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"{checkpoint} does not load: {error}") from error
    return HuggingFaceEngine(model.to(device).eval(), processor, max_new_tokens)


class HuggingFaceEngine:
    """Batched greedy decoding with a model that transformers knows."""

    def __init__(self, model: Any, processor: Any, max_new_tokens: int) -> None:
        self.model, self.processor, self.max_new_tokens = model, processor, max_new_tokens
        self.video_token = processor.tokenizer.convert_tokens_to_ids(processor.video_token)
        self._seen: dict[str, Vision] = {}

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One greedy response a request; `EngineError` where memory runs out or inputs misfit."""
        try:
            with torch.inference_mode():
                return self._answer(batch)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{type(error).__name__}: {error}") from error

    def _answer(self, batch: Sequence[Request]) -> list[Outcome]:
        clips = [request.meta.key for request in batch]
        generated = generate(
            self.model, self.inputs(batch), clips, self.video_token, self.max_new_tokens
        )
        decode = self.processor.tokenizer.decode
        return [
            Response(decode(row, skip_special_tokens=True), len(row), probabilities=each)
            for row, each in zip(
                generated.tokens, self._probabilities(batch, generated), strict=True
            )
        ]

    def _probabilities(
        self, batch: Sequence[Request], generated: Generated
    ) -> list[list[float] | None]:
        """Of each request's options; mostly one forward pass of a token for the whole batch."""
        found = [
            find_options(row, request.letters, request.tags, self.processor.tokenizer)
            for row, request in zip(generated.tokens, batch, strict=True)
        ]
        kept = [options.kept if options else 0 for options in found]
        heads = [options.heads if options else [] for options in found]
        passes = [
            generated.next_logs(kept, [own[turn] if turn < len(own) else () for own in heads]).cpu()
            for turn in range(max(map(len, heads)))
        ]
        return [
            options and options.probabilities({h: passes[turn][row] for turn, h in enumerate(own)})
            for row, (options, own) in enumerate(zip(found, heads, strict=True))
        ]

    def inputs(self, batch: Sequence[Request]) -> dict[str, torch.Tensor]:
        """Keyword arguments of `generate`: `(B, L)` ids padded on the left, `(B, L, hidden)`."""
        clips = [self._see_once(request) for request in batch]
        texts = [self._prompt(r, len(c.features)) for r, c in zip(batch, clips, strict=True)]
        tokens = self.processor.tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt"
        ).to(self.model.device)
        ids = tokens["input_ids"]
        is_video = ids == self.video_token
        embeddings = self.model.get_input_embeddings()(ids)
        features = torch.cat([clip.features for clip in clips]).to(embeddings.dtype)
        return {
            "input_ids": ids,
            "attention_mask": tokens["attention_mask"],
            "inputs_embeds": embeddings.masked_scatter(is_video[..., None], features),
            "mm_token_type_ids": is_video.long() * VIDEO_TYPE,
            "video_grid_thw": torch.stack([clip.grid for clip in clips]),
            "second_per_grid_ts": torch.tensor([clip.seconds for clip in clips]),
        }

    def _prompt(self, request: Request, visual_tokens: int) -> str:
        turns = [{"role": "system", "content": request.system}] if request.system else []
        content = [{"type": "video"}, {"type": "text", "text": request.text}]
        text: str = self.processor.apply_chat_template(
            [*turns, {"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
        )
        before, pad, after = text.partition(self.processor.video_token)
        return before + pad * visual_tokens + after

    def _see_once(self, request: Request) -> Vision:
        key = request.meta.key
        if key not in self._seen:
            if len(self._seen) >= REMEMBERED_CLIPS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self._see(request)
        return self._seen[key]

    def _see(self, request: Request) -> Vision:
        seen = self.processor.video_processor(
            videos=[torch.from_numpy(request.frames).permute(0, 3, 1, 2)],
            video_metadata=[request.meta.metadata()],
            do_sample_frames=False,
            do_resize=False,  # the frame cache did, and the checkpoint's bounds may differ
            return_metadata=True,
            return_tensors="pt",
        ).to(self.model.device)
        [metadata] = seen["video_metadata"]
        features = self.model.get_video_features(
            seen["pixel_values_videos"], seen["video_grid_thw"]
        )
        seconds = self.processor.video_processor.temporal_patch_size / metadata.sampled_fps
        return Vision(features.pooler_output[0], seen["video_grid_thw"][0], seconds)
