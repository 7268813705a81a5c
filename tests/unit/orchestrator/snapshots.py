"""What every recipe renders for its trainers; `REFRESH` stores it.

`@OUT@` stands for a stage's directory, `@ROOT@` for the project's. Tests in the trainers' own
environments hand these files to the trainers' parsers, so they read no recipe there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from orchestrator.plan import easyr1, llamafactory, verl
from orchestrator.plan.stage import OUT, ROOT, Draft
from orchestrator.recipe import load_recipe, recipe_names

SNAPSHOTS = ROOT / "tests" / "snapshots"
REFRESH = ".venv/bin/python -m tests.unit.orchestrator.snapshots"
DONE = {name: Path("/runs") / name for name in ("data", "model", "sft")}


def rendered(name: str) -> dict[str, str]:
    """The files and commands of the recipe's training stages, by path below `SNAPSHOTS`."""
    found: dict[str, str] = {}
    for folder, draft in _drafts(name):
        for path, text in draft.files.items():
            found[f"{name}/{folder}/{Path(path).relative_to(OUT)}"] = text
        commands = [[c.environment, dict(c.environ), *c.argv] for c in draft.commands]
        found[f"{name}/{folder}/commands.json"] = json.dumps(commands, indent=1) + "\n"
    return {path: text.replace(str(ROOT), "@ROOT@") for path, text in found.items()}


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


def _drafts(name: str) -> Iterator[tuple[str, Draft]]:
    yield "sft", llamafactory.sft(load_recipe(name), DONE)
    yield "rl-verl", verl.rl(load_recipe(name, ["rl.trainer=verl"]), DONE)
    yield "rl-easyr1", easyr1.rl(load_recipe(name, ["rl.trainer=easyr1"]), DONE)


if __name__ == "__main__":
    refresh()
