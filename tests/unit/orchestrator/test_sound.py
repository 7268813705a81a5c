"""A loss of NaN that is logged as 0, and NaN in what is saved, end an SFT stage."""

import json
from pathlib import Path

import numpy as np
import pytest

from orchestrator.errors import StageError
from orchestrator.run.sound import check, not_finite

BITS = {"F32": "<u4", "BF16": "<u2", "F16": "<u2", "F64": "<u8"}
ONE = {"F32": 0x3F800000, "BF16": 0x3F80, "F16": 0x3C00, "F64": 0x3FF0000000000000}
NAN = {"F32": 0x7FC00000, "BF16": 0xFFC0, "F16": 0x7E00, "F64": 0x7FF8000000000000}
LARGEST = {"F32": 0x7F7FFFFF, "BF16": 0x7F7F, "F16": 0x7BFF, "F64": 0x7FEFFFFFFFFFFFFF}


def write(path: Path, tensors: dict[str, tuple[str, list[int]]]) -> None:
    """A safetensors file of tensors given by their bits."""
    header, data = {}, b""
    for name, (kind, values) in tensors.items():
        raw = np.array(values, BITS.get(kind, "u1")).tobytes()
        offsets = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": kind, "shape": [len(values)], "data_offsets": offsets}
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


@pytest.mark.parametrize("kind", BITS)
def test_nan_and_infinity_are_found_in_each_type(kind: str, tmp_path: Path) -> None:
    infinity = LARGEST[kind] + 1
    tensors = {
        "right": (kind, [ONE[kind], LARGEST[kind], 0]),
        "nan": (kind, [ONE[kind], NAN[kind]]),
        "infinite": (kind, [infinity, 0]),
        "empty": (kind, []),
        "mask": ("U8", [255, 255]),
    }
    write(tmp_path / "model.safetensors", tensors)
    assert list(not_finite(tmp_path / "model.safetensors")) == ["nan", "infinite"]


@pytest.mark.parametrize("loss", [0.0, -0.0, float("nan"), float("inf")])
def test_a_loss_that_is_none_ends_the_stage(loss: float, tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": loss}, {"step": 3, "loss": loss}]
    with pytest.raises(StageError, match="at 2 of the logged steps, first at step 2"):
        check(tmp_path / "checkpoints", rows)
    check(tmp_path / "checkpoints", rows[:1])


def test_any_checkpoint_with_nan_ends_the_stage(tmp_path: Path) -> None:
    first, second = (tmp_path / f"checkpoint-{n}" / "model.safetensors" for n in (5, 10))
    write(first, {"head": ("BF16", [ONE["BF16"]])})
    write(second, {"head": ("BF16", [ONE["BF16"]])})
    check(tmp_path, [])
    write(first, {"head": ("BF16", [NAN["BF16"]])})
    with pytest.raises(StageError, match=r"checkpoint-5/model.safetensors: 1 tensors .*\(head\)"):
        check(tmp_path, [])
