"""What the data builders' tests share."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_server import FakeServer
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # machines differ; correctness doesn't
settings.load_profile("untimed")

_BESIDE_THE_PROJECT = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def published() -> Path:
    """A folder of published annotation files; tests on them skip where it is absent."""
    folder = Path(os.environ.get("CAMREASONER_SHARED_DATA", _BESIDE_THE_PROJECT))
    if not folder.is_dir():
        pytest.skip("no published annotations: set CAMREASONER_SHARED_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def refined_tsv(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """RefineShot's published questions, as a file in ShotBench's format."""
    openpyxl = pytest.importorskip("openpyxl")
    sheet = published / "refineshot" / "Qwen2.5-VL-3B.origin_results.xlsx"
    rows = openpyxl.load_workbook(sheet, read_only=True).active.iter_rows(max_col=7)
    path = tmp_path_factory.mktemp("shotbench") / "test.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([cell.value for cell in row] for row in rows)
    return path


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as fake:
        yield fake
