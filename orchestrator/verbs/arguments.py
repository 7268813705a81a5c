"""The one grammar of all verbs: words `key=value`, checked against the keys that the verb has."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import yaml
from pydantic import BeforeValidator, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from data_builders.specs import Spec
from orchestrator.errors import RecipeError
from orchestrator.recipe.load import nearest
from orchestrator.verbs.folders import RUNS, runs_directory

OLD = {"runs": "runs_dir"}
"""Options of earlier versions that have another name now."""


def _flag(text: object) -> object:
    if text not in ("true", "false", True, False):
        raise ValueError("expected true or false")
    return text


def _several(text: object) -> object:
    """`a,b` or, where a text holds a comma, YAML's `["a, b", c]`."""
    if not isinstance(text, str):
        return text
    if text.startswith("["):
        try:
            return [str(item) for item in yaml.safe_load(text)]
        except yaml.YAMLError as error:
            raise ValueError(f"no list in YAML: {error}") from None
    return [part.strip() for part in text.split(",")]


Flag = Annotated[bool, BeforeValidator(_flag)]
Several = BeforeValidator(_several)


class Arguments(Spec):
    """Base of a verb's keys; their docstrings are its help."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    bare: ClassVar[tuple[str, ...]] = ()
    """Keys of what earlier versions took without one, in order."""
    runs_dir: Path = Path(RUNS)
    """the folder of runs"""

    @classmethod
    def known(cls) -> dict[str, FieldInfo]:
        """What may stand before the `=`."""
        return {field.alias or name: field for name, field in cls.model_fields.items()}


class RecipeArguments(Arguments):
    """Keys of a verb about a recipe; every other key is the recipe's."""

    recipe: str = "camreasoner_7b"
    """a name in recipes/experiment, or the path of a YAML file"""


A = TypeVar("A", bound=Arguments)


def parse(verb: str, model: type[A], words: Sequence[str]) -> A:
    """The verb's arguments; raises `RecipeError` for a word that is none of its keys."""
    arguments, others = split(verb, model, words)
    if others:
        key = others[0].partition("=")[0]
        told = f"{key}: unknown key{nearest(key, [*model.known()])}"
        raise RecipeError(f"{told}\n{usage(verb, model)}")
    return arguments


def split(verb: str, model: type[A], words: Sequence[str]) -> tuple[A, list[str]]:
    """The verb's arguments, and the words with other keys: overrides of a recipe."""
    values: dict[str, str] = {}
    others: list[str] = []
    for word in words:
        if word in ("--help", "-h"):
            raise RecipeError(usage(verb, model))
        key, equals, value = word.partition("=")
        if word.startswith("-") or not (equals or word.startswith("~")):
            raise RecipeError(f"{_renamed(word, model, values)}\n{usage(verb, model)}")
        if key not in model.known():
            others.append(word)
        elif values.setdefault(key, value) != value:
            raise RecipeError(f"{key}: given 2 different values; leave one out")
    values["runs_dir"] = str(runs_directory(values.get("runs_dir", RUNS)))
    try:
        return model.model_validate(values), others
    except ValidationError as error:
        raise RecipeError(f"{_faults(error)}\n{usage(verb, model)}") from None


def usage(verb: str, model: type[Arguments]) -> str:
    """How the verb is called, and what each of its keys means."""
    keys = sorted(model.known().items(), key=lambda item: not item[1].is_required())
    needs = "".join(f" {key}=..." for key, field in keys if field.is_required())
    lines = [f"  {key:<9} {field.description}" for key, field in keys]
    return "\n".join([f"usage: camreasoner {verb}{needs} [key=value ...]", *lines])


def _renamed(word: str, model: type[Arguments], values: dict[str, str]) -> str:
    """What is written now in place of an option or of a word without a key."""
    option = re.match(r"--?([a-z_-]+)=?(.*)", word, re.DOTALL)
    if option:
        name = OLD.get(option[1], option[1]).replace("-", "_")
        return f"{word}: arguments are key=value; write {name}={shlex.quote(option[2] or '...')}"
    free = [key for key in model.bare if key not in values]
    instead = f"; write {free[0]}={shlex.quote(word)}" if free else ""
    return f"{word}: arguments are key=value{instead}"


def _faults(error: ValidationError) -> str:
    return "\n".join(
        f"{e['loc'][0]}: missing"
        if e["type"] == "missing"
        else f"{e['loc'][0]}={e['input']}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    )
