"""A model of the Hub: its small files say whether and how it can be asked, then it is fetched."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from data_builders.fetch import fetch
from data_builders.models import ModelConfig, obtain
from data_builders.repositories import FetchError
from data_builders.source_specs import Repository
from orchestrator.ask.checkpoints import Checkpoint
from orchestrator.ask.errors import AskError
from orchestrator.ask.recipe import AskRecipe, by_name
from orchestrator.places import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.recipe.evaluation import EvaluatedModel
from orchestrator.run.gpus import local_gpus

HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")
SMALL = ("config.json", "tokenizer_config.json", "chat_template.*", "README.md")
RECIPE = re.compile(r"<summary>Recipe</summary>\s*```yaml\n(.*?)```", re.DOTALL)
"""Of a card that `publish` wrote (orchestrator/publish/card.md.j2)."""
DEFAULT = "camreasoner_7b"


def of_hub(name: str, recipe: str | None) -> Checkpoint:
    """The model `owner/name[@revision]`, fetched once; `AskError` before anything big is fetched.

    Prompt and frames are those of `recipe`, else of the recipe on its card, else of
    `camreasoner_7b`; `Checkpoint.origin` says which.
    """
    match = HUB_ID.fullmatch(name)
    assert match is not None
    model = EvaluatedModel(path=match["repo"], revision=match["revision"] or "main")
    kept = ROOT / load_recipe(recipe or DEFAULT).data.download_dir / "models"
    small = Repository(repo=match["repo"], revision=model.revision, kind="model", patterns=SMALL)
    try:
        card = fetch(small, kept / f"{model.folder}.card")
        _check(name, card)
        own, origin = _recipe(name, card, recipe)
        obtain(ModelConfig(path=match["repo"], revision=model.revision, out=kept / model.folder))
    except FetchError as error:
        raise AskError(f"model={name}: no run or directory here, and on the Hub: {error}") from None
    return Checkpoint(name, kept / model.folder, own, origin)


def here(recipe: AskRecipe) -> AskRecipe:
    """The recipe on this machine: it was not made for any run here."""
    device = {"device": "cuda" if local_gpus() else "cpu"}
    return AskRecipe.model_validate({**recipe.model_dump(), "cluster": device})


def _check(name: str, folder: Path) -> None:
    """Raise `AskError` for a model that can't be asked about a clip."""
    config = _json(folder / "config.json")
    if not config:
        raise AskError(
            f"model={name}: holds no config.json: no checkpoint of transformers; for an adapter, "
            "name the model that it was merged into"
        )
    if "vision_config" not in config:
        raise AskError(
            f"model={name}: a {config.get('model_type', 'model')} without vision_config in its "
            "config.json: no vision-language model"
        )
    if not [*folder.glob("chat_template.*")] and not _json(folder / "tokenizer_config.json").get(
        "chat_template"
    ):
        raise AskError(
            f"model={name}: its processor has no chat template (chat_template.json, .jinja, or in "
            "tokenizer_config.json); name an instruction-tuned model"
        )


def _recipe(name: str, folder: Path, recipe: str | None) -> tuple[AskRecipe, str]:
    """Prompt and frames, and in words whose they are."""
    if recipe is not None:
        return here(by_name(recipe)), f"of recipe {recipe}"
    card = folder / "README.md"
    block = RECIPE.search(card.read_text(errors="replace")) if card.is_file() else None
    if block is None:
        return here(by_name(DEFAULT)), f"of recipe {DEFAULT}: its card names none (recipe=<name>)"
    try:
        own = {"cluster": {"device": "cpu"}, **yaml.safe_load(block[1])}
        return here(AskRecipe.model_validate(own)), "of the recipe on its card"
    except (yaml.YAMLError, ValidationError, TypeError):
        raise AskError(
            f"model={name}: the recipe on its card is of another version: name one with recipe="
        ) from None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise AskError(f"{path}: no JSON: {error}") from None
    return content if isinstance(content, dict) else {}
