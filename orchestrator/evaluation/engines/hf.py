"""Hugging Face models: greedy, in padded batches, each clip seen and read once.

The prompt is built as in training: the processor's own video token count, `second_per_grid_ts`
from the effective fps, and `positions`, so that time positions are the ones learnt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.utils import logging

from data_builders.frames import FrameMeta
from data_builders.media import Kind
from orchestrator.evaluation.engines import (
    GREEDY,
    Clip,
    EngineError,
    Outcome,
    Request,
    Response,
    Sampling,
)
from orchestrator.evaluation.engines.options import find_options
from orchestrator.evaluation.engines.shared_prefix import Generated, chooser, generate
from reward_plugins import positions, weights

REMEMBERED_CLIPS = 8
"""Questions on one clip come side by side: a few suffice, whatever the batch size."""
TYPES: dict[Kind, int] = {"image": 1, "video": 2}
"""Of `mm_token_type_ids` (transformers 5.9, modeling_qwen2_5_vl.py:1006)."""


class Vision(NamedTuple):
    """What the language model gets of a clip: a video, or images."""

    kind: Kind
    features: torch.Tensor
    """Visual tokens, `(n, hidden)`."""
    grids: torch.Tensor
    """`(1, 3)` of a video, `(T, 3)` of images: time, height and width in patches."""
    seconds: float = 0.0
    """Between two steps in time of a video: `second_per_grid_ts`."""


def load(checkpoint: Path, max_new_tokens: int, sampling: Sampling = GREEDY) -> HuggingFaceEngine:
    """Read a checkpoint onto the GPU if there is one, else in float32 onto the CPU."""
    logging.disable_progress_bar()
    positions.install()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        weights.check(checkpoint)
        processor = AutoProcessor.from_pretrained(checkpoint)
        model = AutoModelForImageTextToText.from_pretrained(
            checkpoint, dtype=torch.float32 if device == "cpu" else "auto"
        )
    except (OSError, ValueError) as error:
        raise EngineError(f"{checkpoint} does not load: {error}") from error
    return HuggingFaceEngine(model.to(device).eval(), processor, max_new_tokens, sampling)


class HuggingFaceEngine:
    """Batched decoding, greedy unless `sampling` says otherwise, with any model of transformers."""

    def __init__(
        self, model: Any, processor: Any, max_new_tokens: int, sampling: Sampling = GREEDY
    ) -> None:
        self.model, self.processor, self.max_new_tokens = model, processor, max_new_tokens
        self.choose = chooser(sampling, model.device)
        self.pads = {"video": processor.video_token, "image": processor.image_token}
        convert = processor.tokenizer.convert_tokens_to_ids
        self.tokens: dict[str, int] = {kind: convert(pad) for kind, pad in self.pads.items()}
        self._seen: dict[str, Vision] = {}

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One greedy response a request; `EngineError` where memory runs out or inputs misfit."""
        try:
            with torch.inference_mode():
                return self._answer(batch)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{type(error).__name__}: {error}") from error

    def _answer(self, batch: Sequence[Request]) -> list[Outcome]:
        clips = [tuple(clip.meta.key for clip in request.clips) for request in batch]
        visual = list(self.tokens.values())
        generated = generate(
            self.model, self.inputs(batch), clips, visual, self.max_new_tokens, self.choose
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
        """Keyword arguments of `generate`: `(B, L)` ids padded on the left, `(B, L, hidden)`.

        Rows may show images, videos, both or none.
        """
        seen = [[self._see_once(clip) for clip in request.clips] for request in batch]
        texts = [self._prompt(request, own) for request, own in zip(batch, seen, strict=True)]
        tokens = self.processor.tokenizer(
            texts, padding=True, padding_side="left", return_tensors="pt"
        ).to(self.model.device)
        ids = tokens["input_ids"]
        types = sum((ids == self.tokens[kind]).long() * number for kind, number in TYPES.items())
        embeddings = self.model.get_input_embeddings()(ids)
        visions = [vision for own in seen for vision in own]
        if visions:
            features = torch.cat([vision.features for vision in visions]).to(embeddings.dtype)
            embeddings = embeddings.masked_scatter((types > 0)[..., None], features)
        return {
            "input_ids": ids,
            "attention_mask": tokens["attention_mask"],
            "inputs_embeds": embeddings,
            "mm_token_type_ids": types,
            **_grids(visions),
        }

    def _prompt(self, request: Request, seen: Sequence[Vision]) -> str:
        text: str = self.processor.apply_chat_template(
            request.messages(), tokenize=False, add_generation_prompt=True
        )
        counts = iter(
            [len(vision.features) // len(vision.grids) for vision in seen for _ in vision.grids]
        )
        pads = "|".join(map(re.escape, self.pads.values()))
        return re.sub(pads, lambda pad: pad[0] * next(counts, 1), text)

    def _see_once(self, clip: Clip) -> Vision:
        key = clip.meta.key
        if key not in self._seen:
            if len(self._seen) >= REMEMBERED_CLIPS:
                del self._seen[next(iter(self._seen))]
            self._seen[key] = self._see(clip)
        return self._seen[key]

    def _see(self, clip: Clip) -> Vision:
        frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)
        if clip.meta.shown == "image":
            return self._see_images(frames)
        return self._see_video(frames, clip.meta)

    def _see_images(self, frames: torch.Tensor) -> Vision:
        seen = self.processor.image_processor(
            list(frames), do_resize=False, return_tensors="pt"
        ).to(self.model.device)
        features = self.model.get_image_features(seen["pixel_values"], seen["image_grid_thw"])
        return Vision("image", torch.cat(features.pooler_output), seen["image_grid_thw"])

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
        return Vision("video", features.pooler_output[0], seen["video_grid_thw"], seconds)


def _grids(visions: Sequence[Vision]) -> dict[str, torch.Tensor]:
    grids = {
        f"{kind}_grid_thw": torch.cat(own)
        for kind in TYPES
        if (own := [vision.grids for vision in visions if vision.kind == kind])
    }
    seconds = [vision.seconds for vision in visions if vision.kind == "video"]
    return {**grids, "second_per_grid_ts": torch.tensor(seconds)} if seconds else grids
