"""The documentation names only what exists: keys, files, recipes, versions and counts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.plan.stage import ROOT
from orchestrator.recipe import Recipe, load_recipe
from orchestrator.recipe.load import STAGES, _all_keys, recipe_names
from orchestrator.recipe.tasks import TaskSpec
from tests.unit.docs.test_commands import PAGES as ALL_PAGES

PAGES = [page for page in ALL_PAGES if page.name != "reference.md"]  # generated, has its own test
SECTIONS = set(Recipe.model_fields)
LOCKS = {"LLaMA-Factory": ("sft", "llamafactory"), "verl": ("rl", "verl")}
NAMED = {"stages": tuple(STAGES.values()), "tasks": (TaskSpec,)}
"""Sections by the user's own names, and what may stand below one."""
LARGE = re.compile(r"(?<![\d.,#])\d{1,3}(?:,\d{3})+(?![\d,])")
PAPERS = {"131,072": "the paper's pixels in evaluation", "1,048,576": "recipes/published.yaml"}
"""Numbers of the paper that only the text needs, or that YAML writes otherwise."""


@pytest.fixture(scope="module")
def tree() -> str:
    """All code, recipes and benches, with the digits of a number together."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.yaml", "*.txt", "*.in"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    text = "\n".join((ROOT / name).read_text() for name in listed.stdout.split())
    return re.sub(r"(?<=\d)[_,](?=\d{3})", "", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_keys_that_are_named_exist(page: Path) -> None:
    known = set(_all_keys(Recipe))
    spans = re.findall(r"`([^`\n]+)`", page.read_text())
    named = {key for span in spans for key in re.findall(r"\b[a-z_]+(?:\.[a-z_0-9]+)+", span)}
    keys = {key for key in named if key.partition(".")[0] in SECTIONS and not _is_file(key)}
    assert {key for key in keys if not _known(key, known)} == set()


def _known(key: str, known: set[str]) -> bool:
    """A key, or one below a mapping whose keys are the user's."""
    section, _, rest = key.partition(".")
    if section in NAMED:
        own = rest.partition(".")[2]
        return not own or any(own in _all_keys(model) for model in NAMED[section])
    return key in known or any(key.startswith(f"{k}.") for k in ("eval.models",) if k in known)


def _is_file(text: str) -> bool:
    return text.endswith((".py", ".md", ".yaml", ".json", ".parquet", ".csv", ".txt"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_links_exist(page: Path) -> None:
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    inner = re.findall(
        r"`((?:orchestrator|data_builders|reward_plugins|recipes|envs|docs|tests"
        r"|examples|bench)/[\w./-]+)`",
        text,
    )
    assert [path for path in inner if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_that_are_named_exist(page: Path) -> None:
    named = set(re.findall(r"RECIPE=([\w./]+)", page.read_text())) - {"examples"}
    missing = {n for n in named if n not in recipe_names() and not (ROOT / n).is_file()}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_versions_are_those_that_are_locked(page: Path) -> None:
    for name, (env, package) in LOCKS.items():
        lock = (ROOT / "envs" / f"{env}.txt").read_text()
        said = set(re.findall(rf"\b{name} (\d+\.\d+\.\d+)", page.read_text()))
        assert said <= set(re.findall(rf"^{package}(?:\[.*\])?==(\S+)", lock, re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_counts_are_known_to_the_code(page: Path, tree: str) -> None:
    said = {number for number in LARGE.findall(page.read_text()) if number not in PAPERS}
    assert {n for n in said if not re.search(rf"\b{n.replace(',', '')}\b", tree)} == set()


def test_the_readme_expects_what_the_recipes_expect() -> None:
    readme = (ROOT / "README.md").read_text()
    hours = re.search(r"about \d+ hours on 4 H200", load_recipe("camreasoner_7b").expected)
    assert hours and hours[0] in readme
