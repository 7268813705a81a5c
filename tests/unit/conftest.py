"""What tests of pages share: a browser, where the machine has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.chromium import BINARY, Browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not BINARY:
        pytest.skip("no Chromium on this machine")
    with closing(Browser(tmp_path_factory.mktemp("profile"))) as running:
        yield running
