"""Rows of verl's parquet lead to the frames on disk, untouched."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset, get_dataset_class
from verl_chat import encode

from reward_plugins.verl_plugin.dataset import FramesDataset, FramesError, read_video

SHAPE = (4, 28, 56, 3)
MODULE = "pkg://reward_plugins.verl_plugin.dataset"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    path = tmp_path / "frames.rgb"
    np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8).tofile(path)
    return path


def test_verl_reads_our_rows(frames: Path, tmp_path: Path, processor: Any) -> None:
    row = {
        "data_source": "binary",
        "prompt": [{"role": "user", "content": "<video>Why?"}],
        "videos": [{"video": "clip.mp4", "frames": str(frames), "shape": SHAPE, "fps": 1.0}],
        "reward_model": {"style": "rule", "ground_truth": "A"},
        "extra_info": {"index": 3},
    }
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rl.parquet")
    config = OmegaConf.create(
        {"custom_cls": {"path": MODULE, "name": "FramesDataset"}, "filter_overlong_prompts": True}
    )
    cls = get_dataset_class(config)
    dataset = cls(str(tmp_path / "rl.parquet"), processor.tokenizer, config, processor)
    (messages,) = [dataset[i]["raw_prompt"] for i in range(len(dataset))]
    images, videos, audios = asyncio.run(cls.process_multi_modal_info(messages, 14, config))
    assert (images, audios) == (None, None)
    ((pixels, metadata),) = videos
    expected = np.fromfile(frames, np.uint8).reshape(SHAPE)
    assert np.array_equal(pixels.permute(0, 2, 3, 1).numpy(), expected)
    assert metadata["fps"] == 1.0 and metadata["frames_indices"] == [0, 1, 2, 3]


def test_verl_reads_our_images(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 28, 56, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    row = {
        "prompt": [{"role": "user", "content": "<image><image>Why?"}],
        "images": [{"image": str(tmp_path / f"{number}.png")} for number in range(2)],
    }
    messages = verl_messages(row)
    images, videos, _ = FramesDataset._process_multi_modal_info(messages, 14, None)
    assert videos is None and images is not None
    assert np.array_equal(np.stack([np.asarray(image) for image in images]), pictures)
    (tmp_path / "1.png").unlink()
    with pytest.raises(FramesError, match=r"1\.png"):
        FramesDataset._process_multi_modal_info(messages, 14, None)


def verl_messages(row: dict[str, Any]) -> list[dict[str, Any]]:
    """verl's own replacement of the placeholders by their items."""
    keys = {"image_key": "images", "video_key": "videos", "audio_key": "audios"}
    reader = SimpleNamespace(processor=object(), **keys)
    return list(RLHFDataset._build_messages(reader, row, "prompt"))


def test_the_processor_neither_samples_nor_resizes(frames: Path, processor: Any) -> None:
    video = read_video({"frames": str(frames), "shape": SHAPE, "fps": 1.0})
    inputs = encode(processor, "Why?", video)
    assert inputs["video_grid_thw"].tolist() == [[2, 2, 4]]
    assert list(inputs["second_per_grid_ts"]) == [2.0]
    settings = processor.video_processor
    mean, std = (torch.tensor(x)[:, None, None] for x in (settings.image_mean, settings.image_std))
    expected = (video[0] / 255 - mean) / std
    patch = inputs["pixel_values_videos"][0].reshape(3, 2, 14, 14)
    assert torch.allclose(patch[:, 0], expected[0, :, :14, :14], atol=1e-5)


def test_text_only_messages_have_no_videos() -> None:
    messages = [{"role": "user", "content": "Why?"}]
    assert FramesDataset._process_multi_modal_info(messages, 14, None) == (None, None, None)


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({"video": "clip.mp4", "fps": 1.0}, "'frames'"),
        ({"frames": "clip.rgb", "shape": SHAPE}, "'fps'"),
        ({"frames": "clip.rgb", "shape": SHAPE, "fps": 0.0}, "'fps'"),
        ({"frames": "clip.rgb", "fps": 1.0}, "'shape'"),
        ({"frames": "absent.rgb", "shape": SHAPE, "fps": 1.0}, "absent.rgb"),
    ],
)
def test_broken_items_are_named(item: dict[str, Any], reason: str) -> None:
    with pytest.raises(FramesError, match=reason):
        read_video(item)


def test_frames_of_another_shape_are_refused(tmp_path: Path) -> None:
    np.zeros((4, 28, 28, 3), dtype=np.uint8).tofile(tmp_path / "f.rgb")
    with pytest.raises(FramesError, match=r"9408 bytes, not those of \(4, 28, 56, 3\)"):
        read_video({"frames": str(tmp_path / "f.rgb"), "shape": SHAPE, "fps": 1.0})
