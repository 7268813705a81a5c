"""A frozen vision tower takes no gradient; without the word it does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

from reward_plugins.verl_plugin import freezing


@pytest.mark.parametrize("word", ["1", ""])
def test_the_tower_stays_where_it_is_said(
    word: str, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(freezing.FREEZE, word)
    monkeypatch.setattr(FSDPEngine, "_build_module", lambda self: model)
    freezing.install()
    freezing.install()
    built = FSDPEngine._build_module(None)
    tower = {id(weight) for weight in built.model.visual.parameters()}
    trained = {id(weight) for weight in built.parameters() if weight.requires_grad}
    assert trained and bool(tower & trained) is not bool(word)
    assert not tower <= trained or not word
    model.requires_grad_(True)


def test_verl_is_as_the_hook_expects() -> None:
    assert list(inspect.signature(FSDPEngine._build_module).parameters) == ["self"]
