from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.ledger import Ledger, LedgerError, Reply


def _written(path: Path, texts: list[str]) -> bytes:
    ledger = Ledger(path)
    for number, text in enumerate(texts):
        ledger.put(f"k{number}", Reply(text=text, prompt_tokens=number))
    ledger.close()
    return path.read_bytes()


@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5))
def test_replies_outlive_the_process(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "replies.jsonl"
    _written(path, texts)
    again = Ledger(path)
    assert [again.get(f"k{n}") for n in range(len(texts))] == [
        Reply(text=text, prompt_tokens=n) for n, text in enumerate(texts)
    ]
    assert again.get("other") is None


@given(cut=st.integers(0, 200))
def test_a_torn_row_is_dropped_and_the_file_goes_on(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "replies.jsonl"
    whole = _written(path, ["first\nline", "second"])
    path.write_bytes(whole[:cut])
    ledger = Ledger(path)
    kept = [key for key in ("k0", "k1") if ledger.get(key)]
    assert kept == ["k0", "k1"][: whole[:cut].count(b"\n")]
    ledger.put("k2", Reply(text="third"))
    assert Ledger(path).get("k2") == Reply(text="third")


def test_a_damaged_row_in_the_midst_is_named(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    lines = _written(path, ["a", "b", "c"]).splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{]\n" + lines[2])
    with pytest.raises(LedgerError, match="line 2 is damaged: remove that line"):
        Ledger(path)


class _FullDisk:
    """A file whose next write stores half of what it gets."""

    name = "replies.jsonl"

    def __init__(self, ledger: Ledger) -> None:
        self._file = ledger._file

    def write(self, row: bytes) -> int:
        return self._file.write(row[: len(row) // 2]) or 0

    def truncate(self, size: int) -> int:
        return self._file.truncate(size)


def test_a_full_disk_leaves_the_rows_that_were_there(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    before = _written(path, ["a"])
    ledger = Ledger(path)
    file, ledger._file = ledger._file, _FullDisk(ledger)  # type: ignore[assignment]
    with pytest.raises(OSError, match="is the disk full"):
        ledger.put("k1", Reply(text="b"))
    assert path.read_bytes() == before
    ledger._file = file
    ledger.put("k1", Reply(text="b"))
    assert Ledger(path).get("k1") == Reply(text="b")
