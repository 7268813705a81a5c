"""Samples, clips and frames: everything the trainers read.

    from data_builders import FrameSpec, PromptSpec, materialise, read_samples, user_text

    spec = FrameSpec(fps=1.0, min_frames=4, max_frames=64, min_pixels=3136, max_pixels=262144)
    if __name__ == "__main__":      # clips are decoded in processes, which import this file
        index = materialise(["clip.mp4"], root, cache, spec)
        frames, meta = index.load("clip.mp4")   # (T, height, width, 3) uint8; meta.fps, ...

Names are imported when they are first asked for: `import data_builders` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reward_plugins.lazy import importer

if TYPE_CHECKING:
    from data_builders.decoding import Decoded, decode
    from data_builders.export import to_easyr1, to_llamafactory, to_verl
    from data_builders.frame_rule import ClipError
    from data_builders.frames import (
        FrameCacheError,
        FrameIndex,
        FrameMeta,
        QuarantineError,
        materialise,
    )
    from data_builders.media import Item, image, video
    from data_builders.prompt import question_text, trace_text, user_text
    from data_builders.sample import Sample, SampleError, read_samples, write_samples
    from data_builders.sources import (
        camerabench_test,
        camerabench_train,
        shotbench_movement,
        shotbench_test,
    )
    from data_builders.specs import MOTIONS, FrameSpec, PromptSpec, SyntheticSpec
    from data_builders.synthetic.build import build as build_synthetic

__all__ = [
    "MOTIONS",
    "ClipError",
    "Decoded",
    "FrameCacheError",
    "FrameIndex",
    "FrameMeta",
    "FrameSpec",
    "Item",
    "PromptSpec",
    "QuarantineError",
    "Sample",
    "SampleError",
    "SyntheticSpec",
    "build_synthetic",
    "camerabench_test",
    "camerabench_train",
    "decode",
    "image",
    "materialise",
    "question_text",
    "read_samples",
    "shotbench_movement",
    "shotbench_test",
    "to_easyr1",
    "to_llamafactory",
    "to_verl",
    "trace_text",
    "user_text",
    "video",
    "write_samples",
]

_HOMES = {
    "MOTIONS": "data_builders.specs:MOTIONS",
    "ClipError": "data_builders.frame_rule:ClipError",
    "Decoded": "data_builders.decoding:Decoded",
    "FrameCacheError": "data_builders.frames:FrameCacheError",
    "FrameIndex": "data_builders.frames:FrameIndex",
    "FrameMeta": "data_builders.frames:FrameMeta",
    "FrameSpec": "data_builders.specs:FrameSpec",
    "Item": "data_builders.media:Item",
    "PromptSpec": "data_builders.specs:PromptSpec",
    "QuarantineError": "data_builders.frames:QuarantineError",
    "Sample": "data_builders.sample:Sample",
    "SampleError": "data_builders.sample:SampleError",
    "SyntheticSpec": "data_builders.specs:SyntheticSpec",
    "build_synthetic": "data_builders.synthetic.build:build",
    "camerabench_test": "data_builders.sources:camerabench_test",
    "camerabench_train": "data_builders.sources:camerabench_train",
    "decode": "data_builders.decoding:decode",
    "image": "data_builders.media:image",
    "materialise": "data_builders.frames:materialise",
    "question_text": "data_builders.prompt:question_text",
    "read_samples": "data_builders.sample:read_samples",
    "shotbench_movement": "data_builders.sources:shotbench_movement",
    "shotbench_test": "data_builders.sources:shotbench_test",
    "to_easyr1": "data_builders.export:to_easyr1",
    "to_llamafactory": "data_builders.export:to_llamafactory",
    "to_verl": "data_builders.export:to_verl",
    "trace_text": "data_builders.prompt:trace_text",
    "user_text": "data_builders.prompt:user_text",
    "video": "data_builders.media:video",
    "write_samples": "data_builders.sample:write_samples",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = importer(__name__, _HOMES)
