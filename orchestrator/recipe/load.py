"""Name and overrides -> checked Recipe: Hydra composes, OmegaConf resolves, pydantic checks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_origin

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from orchestrator.errors import RecipeError
from orchestrator.places import RECIPES
from orchestrator.recipe.policy import GRAMMAR
from orchestrator.recipe.rules import broken_rules
from orchestrator.recipe.schema import Recipe
from orchestrator.recipe.stages import RlStage, SampleStage, SftStage
from orchestrator.secrets import environment_in, guard, redact, secrets_in

STAGES: dict[str, type[BaseModel]] = {"sft": SftStage, "rl": RlStage, "sample": SampleStage}
START = f"stages.<name>.start: {GRAMMAR}"
RETIRED = {
    "rl.start": START,
    "rl.sft_checkpoint": f"{START}; e.g. stages.rl.start=sft:epoch:2",
    "merge": "rl.merge_dtype: an RL stage merges its checkpoints itself",
    "merge.dtype": "rl.merge_dtype: an RL stage merges its checkpoints itself",
}
"""Keys of earlier versions, and what says the same now."""
BROKEN = (HydraException, OmegaConfBaseException, YAMLError, UnicodeDecodeError, RecursionError)
"""What composing a recipe raises for one that can't be read."""


def recipe_names(root: Path = RECIPES) -> list[str]:
    """Names a user can give as `recipe=`."""
    return sorted(path.stem for path in (root / "experiment").glob("*.yaml"))


def load_recipe(name: str, overrides: Sequence[str] = (), root: Path = RECIPES) -> Recipe:
    """Compose a recipe with Hydra overrides and check every key.

    `name` is one of `recipes/experiment/`, or the path of a YAML file of your own that starts from
    one of them (examples/recipes).

    Raises `RecipeError` with all mistakes at once: unknown keys with the nearest valid one,
    ill-typed values with what is allowed, values that contradict each other, and secrets.
    """
    _check_name(name, root)
    if problems := _contradictions(overrides):
        raise RecipeError(_report(name, problems))
    values = _compose(name, overrides, root)
    guard(values)
    if problems := secrets_in(values):
        raise RecipeError(_report(name, problems))
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(_report(name, _explain(error.errors()))) from None
    if problems := broken_rules(recipe):
        raise RecipeError(_report(name, problems))
    return recipe


def _contradictions(overrides: Sequence[str]) -> list[str]:
    """A line for each key that is given two values: Hydra would take the last in silence."""
    given: dict[str, list[str]] = {}
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        given.setdefault(key, []).append(value)
    return [
        f"{key}: given {len(set(values))} different values; leave all but one out"
        for key, values in given.items()
        if len(set(values)) > 1
    ]


def _check_name(name: str, root: Path) -> None:
    if name.endswith(".yaml"):
        if not Path(name).is_file():
            raise RecipeError(f"recipe={name}: no such file")
    elif name not in recipe_names(root):
        raise RecipeError(f"recipe={name}: no such recipe{nearest(name, recipe_names(root))}")


def _compose(name: str, overrides: Sequence[str], root: Path) -> dict[str, Any]:
    GlobalHydra.instance().clear()
    home, config_name, given = root, f"experiment/{name}", [_lenient(o) for o in overrides]
    if name.endswith(".yaml"):
        home, config_name = Path(name).resolve().parent, Path(name).stem
        quoted = str(root).replace("'", "\\'")
        given.append(f"hydra.searchpath=['file://{quoted}']")
    try:
        with initialize_config_dir(str(home), version_base="1.3", job_name="camreasoner"):
            config = compose(config_name, overrides=given)
            if problems := environment_in(_container(config, resolve=False)):
                raise RecipeError(_report(name, problems))
            return _container(config, resolve=True)
    except BROKEN as error:
        raise RecipeError(f"recipe={name}: {redact(str(error)).strip()}") from None


def _container(config: DictConfig, resolve: bool) -> dict[str, Any]:
    values = OmegaConf.to_container(config, resolve=resolve)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def _lenient(override: str) -> str:
    """Let Hydra add any key: the schema then reports every unknown one, with the nearest."""
    return override if override[:1] in "+~" or "=" not in override else f"++{override}"


def _report(name: str, problems: list[str]) -> str:
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    lines = [f"recipe {name!r} has {count}:", *(f"  {line}" for line in problems)]
    return redact("\n".join(lines))


def _explain(errors: Sequence[Any]) -> list[str]:
    """A line an error; one that a stage has from its kind's section is told of the section."""
    lines: dict[str, None] = {}
    shared = {_key(error) for error in errors}
    for error in errors:
        key = _key(error)
        _, section, rest = _stage_key(error)
        if not (section and rest and f"{section}.{rest}" in shared):
            lines[_line(key, error)] = None
    return list(lines)


def _line(key: str, error: Any) -> str:
    if key in RETIRED:
        return f"{key}: retired; now {RETIRED[key]}"
    stage, section, _ = _stage_key(error)
    if error["type"] == "extra_forbidden" and section:
        known = [f"{stage}.{name}" for name in _all_keys(STAGES[section])]
        return f"{key}: unknown key{nearest(key, known)}"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key{nearest(key, _all_keys(Recipe))}"
    if error["type"] in ("union_tag_not_found", "union_tag_invalid"):
        return f"{key}.kind: give one of {', '.join(STAGES)}"
    if error["type"] == "missing":
        where = f" (or to `{section}:`, for all stages of this kind)" if section else ""
        return f"{key}: missing; add it to the recipe{where}"
    value = "" if isinstance(error["input"], dict) else f" (found {error['input']!r})"
    return f"{key or 'recipe'}: {error['msg'].removeprefix('Value error, ')}{value}"


def _key(error: Any) -> str:
    stage, section, rest = _stage_key(error)
    return f"{stage}.{rest}" if section else ".".join(str(part) for part in error["loc"])


def _stage_key(error: Any) -> tuple[str, str, str]:
    """Of an error within a stage: `stages.<name>`, its kind, and the key below it."""
    head, *parts = error["loc"] or ("",)
    if head != "stages" or len(parts) < 2 or parts[1] not in STAGES:
        return "", "", ""
    return f"stages.{parts[0]}", str(parts[1]), ".".join(map(str, parts[2:]))


def nearest(given: str, known: Sequence[str]) -> str:
    """The end of a message about a key or name that is not among `known`."""
    if close := difflib.get_close_matches(given, known, n=2, cutoff=0.7):
        return f"; did you mean {' or '.join(close)}?"
    section = given.rpartition(".")[0]
    siblings = [key for key in known if key.rpartition(".")[0] == section]
    return f"; known here: {', '.join(siblings or known)}"


def _all_keys(model: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        keys.append(prefix + name)
        if get_origin(field.annotation) is dict:  # its keys are the user's
            continue
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                keys += _all_keys(inner, f"{prefix}{name}.")
    return keys
