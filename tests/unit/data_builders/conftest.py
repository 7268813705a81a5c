"""What the data builders' tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_PROJECT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def published() -> Path:
    """A folder of published annotation files; tests on them skip where it is absent."""
    folder = Path(os.environ.get("CAMREASONER_SHARED_DATA", _BESIDE_THE_PROJECT))
    if not folder.is_dir():
        pytest.skip("no published annotations: set CAMREASONER_SHARED_DATA to their folder")
    return folder
