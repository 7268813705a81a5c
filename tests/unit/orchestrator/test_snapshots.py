"""What recipes render is what was stored: a change of a trainer's config is seen in review."""

import pytest

from orchestrator.recipe import load_recipe, recipe_names
from tests.unit.orchestrator.snapshots import REFRESH, SNAPSHOTS, rendered, stored


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_renders_what_is_stored(name: str) -> None:
    now, before = rendered(name), stored(name)
    changed = sorted(path for path in {*now, *before} if now.get(path) != before.get(path))
    for path in changed:
        assert now.get(path) == before.get(path), f"{path}: if that is meant, run {REFRESH}"


def test_nothing_is_stored_for_a_recipe_that_is_gone() -> None:
    trained = [name for name in recipe_names() if load_recipe(name).stages]
    assert sorted(path.name for path in SNAPSHOTS.iterdir()) == trained


@pytest.mark.parametrize("name", recipe_names())
def test_stored_files_hold_no_path_of_this_machine(name: str) -> None:
    assert not any("/home/" in text or "/tmp/" in text for text in stored(name).values())
