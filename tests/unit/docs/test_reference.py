"""docs/reference.md says what the schema, the recipes and the plans say, and no key is dead."""

from __future__ import annotations

import pytest

from docs.generator import reference


@pytest.fixture(scope="module")
def page() -> str:
    return reference.page()


def test_the_page_is_up_to_date(page: str) -> None:
    assert page == reference.PAGE.read_text(), "run `make docs`"


def test_every_key_has_a_meaning_and_ends_up_somewhere(page: str) -> None:
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(map(len, reference.by_section().values()))
    assert [row[0] for row in rows if not row[1].strip() or not row[4].strip("| ")] == []
