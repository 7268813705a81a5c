"""A checkpoint that does not load as a whole is refused by name, not answered at random."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from orchestrator.evaluation.engines import EngineError, open_engine
from reward_plugins import weights

Tensors = dict[str, torch.Tensor]
NORM = "model.layers.0.input_layernorm.weight"
HARM: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "half is missing": (lambda w: dict(list(w.items())[::2]), "are missing, and would be random"),
    "a prefix": (lambda w: {f"base.{n}": t for n, t in w.items()}, r"belong to another.*base\."),
    "no vision": (lambda w: {n: t for n, t in w.items() if "visual" not in n}, r"model\.visual\."),
    "one too many": (lambda w: {**w, "value_head": torch.zeros(2)}, r"1 tensors .*\(value_head\)"),
    "another shape": (lambda w: {**w, NORM: w[NORM][:-1].clone()}, "another shape.*layernorm"),
}
DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut short": lambda w: w.write_bytes(w.read_bytes()[:-100]),
    "a pointer": lambda w: w.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:"),
    "gone": lambda w: w.unlink(),
    "no tokenizer": lambda w: [p.unlink() for p in w.parent.glob("token*")],
    "no processor": lambda w: [p.unlink() for p in w.parent.glob("*processor*")],
    "no config": lambda w: w.with_name("config.json").unlink(),
    "config of nonsense": lambda w: w.with_name("config.json").write_text("[1]"),
}


@pytest.fixture
def checkpoint(workspace: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(workspace / "model", tmp_path / "model"))


@pytest.mark.parametrize("kind", HARM)
def test_tensors_that_do_not_fit_are_named(kind: str, checkpoint: Path) -> None:
    harm, words = HARM[kind]
    file = checkpoint / "model.safetensors"
    save_file(harm(load_file(file)), file, metadata={"format": "pt"})
    with pytest.raises(weights.WeightsError, match=words):
        weights.check(checkpoint)
    with pytest.raises(EngineError, match="is not the model that"):
        open_engine("hf", checkpoint, 8)


@pytest.mark.parametrize("kind", DAMAGE)
def test_files_that_are_damaged_or_gone_are_told(kind: str, checkpoint: Path) -> None:
    DAMAGE[kind](checkpoint / "model.safetensors")
    with pytest.raises(
        EngineError, match=r"model (does not load|has no tokenizer).*: fetch or copy it again"
    ):
        open_engine("hf", checkpoint, 8)


def test_a_whole_checkpoint_passes_with_tied_and_with_saved_heads(checkpoint: Path) -> None:
    weights.check(checkpoint)
    file = checkpoint / "model.safetensors"
    tensors = load_file(file)
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, file, metadata={"format": "pt"})
    weights.check(checkpoint)
