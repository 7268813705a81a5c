"""Write docs/reference.md, every key of a recipe: `python -m docs.generator.reference`.

Meaning and type come from the schema, value and source from the paper's recipe, and where a key
ends up from plans with another value of it. A test fails when the page says anything else.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel

from docs.generator.arrivals import TAUGHT, Places, arrivals, bases, places
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.load import RECIPES

PAGE = Path(__file__).parents[1] / "reference.md"
PAPER, TINY = "camreasoner_7b", "tiny"
READ_ELSEWHERE = {
    "expected": "shown when a run starts",
    "cluster.address": "where the launcher connects",
    "cluster.device": "`verl trainer.device`, and which environments are used",
    "eval.judge.endpoint.temperature": "nowhere: only 0 is allowed, a judge repeats itself",
    "recovery.max_attempts": "what the launcher does when a stage dies",
    "recovery.stall_minutes": "when the launcher ends a stage that stands still",
    "review.port": "where the review page is served",
    "review.sample": "what the review page shows",
    "rl.kl.enabled": "`verl actor_rollout_ref.actor.use_kl_loss`, `easyr1 algorithm.disable_kl`",
    "rl.rollout.engine": "`verl actor_rollout_ref.rollout.name`",
    **{
        f"{section}prompt.{name}": "nowhere: they are said in `tasks`"
        for section in ("", "sft.", "rl.", "sample.")
        for name in ("tails", "systems")
    },
}
"""Keys that no other value of their own changes in a plan, and who reads them."""
MANY = 8
"""Of a key that decides more places than this, the page names the owners only."""
HEAD = f"""# Every key of a recipe

Generated from the schema by `make docs`. *Value* is that of `{PAPER}` (of `{TINY}` or
`more_traces` where the paper has no such section), *source* what its recipe says of it. *Ends up
in*: the trainers' own keys (`llamafactory`, `deepspeed`, `verl`, `easyr1`), or the stage that reads
it. Any key can be set on the command line: `make rl RECIPE=tiny ARGS="rl.group_size=4"`.
"""


class Key:
    """One key of the schema: its path, its type and the text below it."""

    def __init__(self, path: str, annotation: Any, meaning: str) -> None:
        self.path, self.annotation, self.meaning = path, annotation, meaning


def write() -> None:
    """Write the page."""
    PAGE.write_text(page())


def page() -> str:
    """The page, as it should be now."""
    wholes = list(bases())
    before = [places(Recipe.model_validate(whole)) for whole in wholes]
    stated, lines = sources(), [HEAD]
    for section, keys in by_section().items():
        lines += [f"\n## {section}\n", "| Key | Meaning | Value | Source | Ends up in |"]
        lines += ["|---|---|---|---|---|"]
        lines += [_row(key, stated, wholes, before) for key in keys]
    return "\n".join(lines) + "\n"


def by_section() -> dict[str, list[Key]]:
    """Every key that holds a value, by top-level section."""
    sections: dict[str, list[Key]] = {}
    for key in _keys(Recipe, ""):
        name = key.path.partition(".")[0] if "." in key.path else "general"
        sections.setdefault(name, []).append(key)
    return sections


def sources() -> dict[str, str]:
    """The comment beside each key in the paper's recipe, up to its first line's end."""
    found = {}
    for file, prefix in ((f"experiment/{PAPER}", ""), ("teacher/paper", "data.trajectories.")):
        text = (RECIPES / f"{file}.yaml").read_text()
        lines = text.splitlines()
        for path, line in _lines(yaml.compose(text), prefix):
            comment = re.search(r"\s# (.*)$", lines[line])
            found[path] = comment[1].strip() if comment else ""
    return found


def _keys(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    meanings = _meanings(model)
    for name, field in model.model_fields.items():
        inner = _section(field.annotation)
        if inner is not None:
            yield from _keys(inner, f"{prefix}{name}.")
        else:
            yield Key(prefix + name, field.annotation, meanings.get(name, ""))


def _section(annotation: Any) -> type[BaseModel] | None:
    if get_origin(annotation) is dict:
        return None
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a class and of those it extends."""
    found: dict[str, str] = {}
    for owner in reversed([c for c in model.__mro__ if issubclass(c, BaseModel) and c.__doc__]):
        if owner is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
                found[ast.unparse(field.target)] = " ".join(
                    str(ast.literal_eval(below.value)).split()
                )
    return found


def _lines(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield prefix + name.value, name.start_mark.line
            yield from _lines(value, f"{prefix}{name.value}.")


def _row(
    key: Key, stated: dict[str, str], wholes: list[dict[str, Any]], before: list[Places]
) -> str:
    cells = [
        f"`{key.path}`",
        f"{key.meaning} {_allowed(key.annotation)}",
        _value(key.path),
        stated.get(key.path, ""),
        READ_ELSEWHERE.get(key.path) or _ends(arrivals(key.path, wholes, before)),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|").strip() for cell in cells) + " |"


def _allowed(annotation: Any) -> str:
    parts = get_args(annotation)
    literals = parts if get_origin(annotation) is Literal else ()
    for part in parts:
        literals = literals or (get_args(part) if get_origin(part) is Literal else ())
    return f"({' or '.join(f'`{value}`' for value in literals)})" if literals else ""


def _value(path: str) -> str:
    for name in (PAPER, TINY, TAUGHT):
        value: Any = load_recipe(name).model_dump(mode="json")
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            text = json.dumps(value) if not isinstance(value, str) else value
            return f"`{' '.join(text.split())}`" + (
                "" if name == PAPER else f" ({Path(name).stem})"
            )
    return "`null`"


def _ends(found: set[str]) -> str:
    clean = sorted({" ".join(place.split()) for place in found})
    if len(clean) > MANY:
        return ", ".join(f"`{owner}`" for owner in sorted({place.split()[0] for place in clean}))
    return ", ".join(dict.fromkeys(map(_place, clean)))


def _place(place: str) -> str:
    owner, _, key = place.partition(" ")
    return f"`{place}`" if key and not key.endswith((".json", ".py")) else f"{owner} stage"


if __name__ == "__main__":
    write()
