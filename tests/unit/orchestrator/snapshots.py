"""What every recipe renders for its trainers; `REFRESH` stores it.

`@OUT@` stands for a stage's directory, `@ROOT@` for the project's, and `/runs/<stage>` for that of
an earlier one. Tests in the trainers' own environments hand these files to the trainers' parsers,
so they read no recipe there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import RecipeError
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT, Stage
from orchestrator.recipe import load_recipe, recipe_names

SNAPSHOTS = ROOT / "tests" / "snapshots"
REFRESH = ".venv/bin/python -m tests.unit.orchestrator.snapshots"


def rendered(name: str) -> dict[str, str]:
    """The files and commands of the recipe's training stages, by path below `SNAPSHOTS`."""
    texts: dict[str, str] = {}
    for folder, stage, plan in _stages(name):
        for path, text in stage.files.items():
            own = Path(path).relative_to(stage.directory)
            if own.suffix == ".py":  # a copy
                continue
            texts[f"{name}/{folder}/{own}"] = _placed(text, stage, plan)
        commands = [[c.environment, dict(c.environ), *c.argv] for c in stage.commands]
        text = json.dumps(commands, indent=1) + "\n"
        texts[f"{name}/{folder}/commands.json"] = _placed(text, stage, plan)
    return texts


def _placed(text: str, own: Stage, plan: Plan) -> str:
    for stage in plan.stages:
        place = "@OUT@" if stage is own else f"/runs/{stage.name}"
        text = text.replace(str(stage.directory), place)
    return text.replace(str(ROOT), "@ROOT@")


def stored(name: str) -> dict[str, str]:
    """What was rendered for the recipe when it was last stored."""
    files = [path for path in (SNAPSHOTS / name).rglob("*") if path.is_file()]
    return {str(path.relative_to(SNAPSHOTS)): path.read_text() for path in files}


def refresh() -> None:
    """Store what the recipes render now."""
    shutil.rmtree(SNAPSHOTS, ignore_errors=True)
    for name in recipe_names():
        for path, text in rendered(name).items():
            (SNAPSHOTS / path).parent.mkdir(parents=True, exist_ok=True)
            (SNAPSHOTS / path).write_text(text)


def trainers(name: str) -> list[str]:
    """The back ends that can run the recipe: its own, and the other unless its rules refuse it."""
    own = load_recipe(name).rl.trainer
    try:
        other = load_recipe(name, [f"rl.trainer={({'verl', 'easyr1'} - {own}).pop()}"])
    except RecipeError:
        return [own]
    return sorted([own, other.rl.trainer], reverse=True)


def _stages(name: str) -> Iterator[tuple[str, Stage, Plan]]:
    for trainer in trainers(name):
        recipe = load_recipe(name, [f"rl.trainer={trainer}"])
        plan = make_plan(recipe, Path("/runs"))
        for stage_name, spec in recipe.stages.items():
            folder = f"{stage_name}-{trainer}" if spec.kind == "rl" else stage_name
            yield folder, plan.stage(stage_name), plan


if __name__ == "__main__":
    refresh()
