from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_builders.ledger import Ledger, Reply
from reward_plugins.rows import RowError


def _written(path: Path, texts: list[str]) -> bytes:
    ledger = Ledger(path)
    for number, text in enumerate(texts):
        ledger.put(f"k{number}", Reply(text=text, prompt_tokens=number))
    return path.read_bytes() if texts else b""


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
    with pytest.raises(RowError, match="line 2 is damaged: remove that line"):
        Ledger(path)


def test_one_flipped_bit_changes_no_reply(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    whole = _written(path, ["It pans left.", "B"])
    for place in range(len(whole) - 1):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        )
        with pytest.raises(RowError, match="is damaged: remove that line"):
            Ledger(path)


def test_rows_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    path = tmp_path / "replies.jsonl"
    path.write_text('{"key":"k","reply":{"text":"a","prompt_tokens":1,"answer_tokens":2}}\n')
    assert Ledger(path).get("k") == Reply(text="a", prompt_tokens=1, answer_tokens=2)
