"""A run as its manifests record it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.errors import UnknownRunError
from orchestrator.plan.outputs import MANIFEST
from orchestrator.plan.whole import read_json, read_listing, read_manifest
from orchestrator.run.manifest import FOLDER

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Record:
    """The recipe and the finished stages of `runs/<name>`, in the order they run."""

    name: str
    directory: Path
    recipe: dict[str, Any]
    manifests: dict[str, Manifest]

    @cached_property
    def scores(self) -> dict[str, Any] | None:
        """What the evaluation measured, where there was one."""
        path = self.directory / "eval" / "scores.json"
        return read_json(path, dict) if "eval" in self.manifests else None

    def packages(self) -> dict[str, dict[str, str]]:
        """Version by package by environment, as installed when each stage ran."""
        found: dict[str, dict[str, str]] = {}
        for stage, manifest in self.manifests.items():
            for name in manifest.get("environments", {}):
                text = (self.directory / stage / FOLDER / f"{name}.txt").read_text()
                found.setdefault(name, {}).update(_versions(text))
        return found

    def outputs(self, stage: str) -> dict[str, str]:
        """SHA-256 of every file that a stage left."""
        return read_listing(self.directory / stage)


def read_record(runs: Path, name: str) -> Record:
    """The run `runs/<name>`; raises `UnknownRunError` with the names there are."""
    directory = runs / name
    recipe = directory / "recipe.json"
    if not recipe.is_file():
        known = sorted(path.parent.name for path in runs.glob("*/recipe.json"))
        raise UnknownRunError(
            f"{directory} is no run: it has no recipe.json; runs here: {', '.join(known) or 'none'}"
        )
    return Record(name, directory, read_json(recipe, dict), _manifests(directory))


def _manifests(directory: Path) -> dict[str, Manifest]:
    """Of the finished stages, each after those whose results it read."""
    found = {p.parent.name: read_manifest(p.parent) for p in directory.glob(f"*/{MANIFEST}")}
    return dict(sorted(found.items(), key=lambda item: float(item[1]["started"])))


def headline(manifest: Mapping[str, Any]) -> str:
    """The number that a trainer is judged by, with its name: `loss 0.123`."""
    for command in manifest.get("commands", []):
        spec = command.get("progress") if isinstance(command, dict) else None
        if not spec or not spec["metric"]:
            continue
        value: Any = manifest.get("metrics")
        for part in spec["metric"].split(".", 1):
            value = value.get(part) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            return f"{spec['metric'].rpartition('.')[2]} {value:.3f}"
    return ""


def _versions(freeze: str) -> dict[str, str]:
    """`torch==2.11` as {"torch": "2.11"}; an editable install by its whole line."""
    pairs = (line.partition("==") for line in freeze.splitlines() if line)
    return {name: version or name for name, _, version in pairs}
