"""Questions about clips of noise."""

from __future__ import annotations

import torch

from data_builders.media import video
from data_builders.sample import Sample
from orchestrator.evaluation.engines import Request
from orchestrator.evaluation.engines.hf import HuggingFaceEngine


def make_samples(clips: int = 3, questions: int = 4) -> list[Sample]:
    return [
        Sample(
            id=f"{clip}/{number}",
            dataset="noise",
            split="test",
            task="binary",
            category=("pan_left", "zoom_in", "static")[clip % 3],
            media=(video(f"{clip}.mp4"),),
            question="Does the camera " + "slowly " * number + "pan?",
            options=("Yes", "No"),
            answer="AB"[number % 2],
            observation="o",
            think="t",
        )
        for clip in range(clips)
        for number in range(questions)
    ]


def processed(engine: HuggingFaceEngine, request: Request) -> dict[str, torch.Tensor]:
    """The same prompt through the processor's own front door."""
    seen: dict[str, list[torch.Tensor]] = {"image": [], "video": []}
    for frames, meta, _ in request.clips:
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
        seen[meta.shown] += [pixels] if meta.shown == "video" else list(pixels)
    told = [clip.meta.metadata() for clip in request.clips if clip.meta.shown == "video"]
    text = engine.processor.apply_chat_template(
        request.messages(), tokenize=False, add_generation_prompt=True
    )
    return dict(
        engine.processor(
            text=[text],
            images=seen["image"] or None,
            videos=seen["video"] or None,
            do_resize=False,
            return_mm_token_type_ids=True,
            return_tensors="pt",
            **({"video_metadata": told, "do_sample_frames": False} if told else {}),
        )
    )
