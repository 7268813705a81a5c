"""Hugging Face models: greedy, in padded batches, each clip seen and read once.

The prompt is built as in training: the processor's own video token count, `second_per_grid_ts`
from the effective fps, and `positions`, so that time positions are the ones learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from data_builders.frames import FrameMeta
from data_builders.specs import Media
from orchestrator.evaluation.engines import EngineError, Outcome, Request, Response
from orchestrator.evaluation.engines.options import find_options
from orchestrator.evaluation.engines.shared_prefix import Generated, generate
from reward_plugins import positions

REMEMBERED_CLIPS = 8
"""Questions on one clip come side by side: a few suffice, whatever the batch size."""
TYPES = {"video": 2, "images": 1}
"""Of `mm_token_type_ids` (transformers 5.9, modeling_qwen2_5_vl.py:1006)."""


class Vision(NamedTuple):
    """What the language model gets of a clip."""

    features: torch.Tensor
    """Visual tokens, `(n, hidden)`."""
    grids: torch.Tensor
    """`(1, 3)` of a video, `(T, 3)` of images: time, height and width in patches."""
    seconds: float | None
    """Between two steps in time: `second_per_grid_ts`; None for images."""


def load(checkpoint: Path, max_new_tokens: int) -> HuggingFaceEngine:
    """Read a checkpoint onto the GPU if there is one, else in float32 onto the CPU."""
    logging.disable_progress_bar()
    positions.install()
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
        self.pads = {"video": processor.video_token, "images": processor.image_token}
        convert = processor.tokenizer.convert_tokens_to_ids
        self.tokens: dict[str, int] = {media: convert(pad) for media, pad in self.pads.items()}
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
        token = self.tokens[_media(batch)]
        generated = generate(self.model, self.inputs(batch), clips, token, self.max_new_tokens)
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
        """Keyword arguments of `generate`: `(B, L)` ids padded on the left, `(B, L, hidden)`.

        A batch shows videos or images, not both: its requests share a FrameSpec.
        """
        clips = [self._see_once(request) for request in batch]
        texts = [self._prompt(request, clip) for request, clip in zip(batch, clips, strict=True)]
        tokens = self.processor.tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt"
        ).to(self.model.device)
        ids = tokens["input_ids"]
        is_visual = ids == self.tokens[_media(batch)]
        embeddings = self.model.get_input_embeddings()(ids)
        features = torch.cat([clip.features for clip in clips]).to(embeddings.dtype)
        return {
            "input_ids": ids,
            "attention_mask": tokens["attention_mask"],
            "inputs_embeds": embeddings.masked_scatter(is_visual[..., None], features),
            "mm_token_type_ids": is_visual.long() * TYPES[_media(batch)],
            **_grids(clips, _media(batch)),
        }

    def _prompt(self, request: Request, clip: Vision) -> str:
        turns = [{"role": "system", "content": request.system}] if request.system else []
        pad, shown = self.pads[request.meta.spec.media], request.placeholders()
        content = [*shown, {"type": "text", "text": request.text}]
        text: str = self.processor.apply_chat_template(
            [*turns, {"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
        )
        each = len(clip.features) // len(shown)
        return (pad * each).join(text.split(pad, len(shown)))

    def _see_once(self, request: Request) -> Vision:
        key = request.meta.key
        if key not in self._seen:
            if len(self._seen) >= REMEMBERED_CLIPS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self._see(request)
        return self._seen[key]

    def _see(self, request: Request) -> Vision:
        frames = torch.from_numpy(request.frames).permute(0, 3, 1, 2)
        if request.meta.spec.media == "images":
            return self._see_images(frames)
        return self._see_video(frames, request.meta)

    def _see_images(self, frames: torch.Tensor) -> Vision:
        seen = self.processor.image_processor(
            list(frames), do_resize=False, return_tensors="pt"
        ).to(self.model.device)
        features = self.model.get_image_features(seen["pixel_values"], seen["image_grid_thw"])
        return Vision(torch.cat(features.pooler_output), seen["image_grid_thw"], None)

    def _see_video(self, frames: torch.Tensor, meta: FrameMeta) -> Vision:
        seen = self.processor.video_processor(
            videos=[frames],
            video_metadata=[meta.metadata()],
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
        return Vision(features.pooler_output[0], seen["video_grid_thw"], seconds)


def _media(batch: Sequence[Request]) -> Media:
    return batch[0].meta.spec.media


def _grids(clips: Sequence[Vision], media: Media) -> dict[str, torch.Tensor]:
    grids = torch.cat([clip.grids for clip in clips])
    if media == "images":
        return {"image_grid_thw": grids}
    seconds = torch.tensor([clip.seconds for clip in clips])
    return {"video_grid_thw": grids, "second_per_grid_ts": seconds}
