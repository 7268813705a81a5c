"""Files that only grow, through kills, full disks and many writers."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_plugins.rows import RowError, append_rows, read_rows

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(batches=st.lists(st.lists(VALUES, max_size=3), max_size=4))
def test_what_was_added_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[object]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "below" / "rows.jsonl"
    assert list(read_rows(path, list)) == []
    for batch in batches:
        append_rows(path, batch)
    rows = list(read_rows(path, lambda row: row))
    assert rows == [row for batch in batches for row in batch]


@given(cut=st.integers(0, 60))
def test_what_a_kill_tore_off_goes_with_the_next_row(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    append_rows(path, ["first\nline", "é second"])
    whole = path.read_bytes()[:cut]
    path.write_bytes(whole)
    kept = list(read_rows(path, str))
    assert len(kept) == whole.count(b"\n")
    append_rows(path, ["third"])
    assert list(read_rows(path, str)) == [*kept, "third"]


@pytest.mark.parametrize("damage", [b"{]", b"", b"\xff", b"[1, 2]"])
def test_a_row_that_can_not_be_read_is_named(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"1\n" + damage + b"\n3\n")
    rows = read_rows(path, int)
    assert next(rows) == 1
    with pytest.raises(RowError, match=r"rows.jsonl, line 2 is damaged: remove that line"):
        next(rows)


FULL = """
import resource, signal, sys
from pathlib import Path
from reward_plugins.rows import append_rows
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 8, resource.RLIM_INFINITY))
try:
    append_rows(path, ["a row longer than what is left"])
except OSError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append_rows(path, ["again"])
"""


def test_a_full_disk_leaves_the_rows_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    append_rows(path, ["before"])
    said = subprocess.check_output([sys.executable, "-c", FULL, str(path)], text=True)
    assert "is the disk full?" in said
    assert list(read_rows(path, str)) == ["before", "again"]


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: append_rows(path, [[n, "x" * n]]), range(200)))
    assert sorted(row[0] for row in read_rows(path, list)) == list(range(200))
    assert len(path.read_text().splitlines()) == 200
