"""Which checkpoints stay."""

from pathlib import Path

import pytest

from reward_plugins.checkpoints import remove_old


@pytest.mark.parametrize(
    ("last", "every", "left"),
    [(2, None, [90, 100]), (2, 50, [50, 90, 100]), (1, 30, [30, 60, 90, 100]), (99, 50, None)],
)
def test_the_newest_and_every_so_manieth_stay(
    last: int, every: int | None, left: list[int] | None, tmp_path: Path
) -> None:
    for step in range(10, 101, 10):
        (tmp_path / f"global_step_{step}" / "actor").mkdir(parents=True)
    (tmp_path / "global_step_20_copy").mkdir()
    remove_old(tmp_path, last, every)
    steps = [p.name.removeprefix("global_step_") for p in tmp_path.iterdir()]
    assert sorted(int(s) for s in steps if s != "20_copy") == (left or list(range(10, 101, 10)))
    assert "20_copy" in steps
