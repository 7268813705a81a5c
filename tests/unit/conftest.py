"""What tests share: a browser, where the machine has one, and how many examples are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import settings

from tests.chromium import BINARY, Browser

settings.register_profile("weekly", max_examples=2000, deadline=None)
"""`make test-weekly` draws twenty times as many examples."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not BINARY:
        pytest.skip("no Chromium on this machine")
    with closing(Browser(tmp_path_factory.mktemp("profile"))) as running:
        yield running
