"""Files appear whole or not at all, whoever writes them; nothing of the user's is removed."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reward_plugins.files import remove, remove_abandoned, replacement, write_file

PARTIAL = f".{'0123456789abcdef' * 2}.partial"
WRITER = """
import sys; from pathlib import Path; from reward_plugins.files import write_file
for number in range(300): write_file(Path(sys.argv[1]), f"{number}" * 100)
"""


def test_two_processes_write_one_file_three_hundred_times_each(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "file")]
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda _: subprocess.run(command, check=False), range(2)))
    assert [process.returncode for process in done] == [0, 0]
    assert (tmp_path / "file").read_text() == "299" * 100
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file"
    write_file(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_file(path, "new \ud800")
    with pytest.raises(KeyError), replacement(path) as partial:
        partial.mkdir()
        raise KeyError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_a_name_as_long_as_the_system_allows_is_written(tmp_path: Path) -> None:
    write_file(tmp_path / ("n" * 255), b"whole")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"whole"


def test_of_two_folders_the_first_stays_and_a_link_takes_the_place_of_a_link(
    tmp_path: Path,
) -> None:
    for name in "one", "two":
        with replacement(tmp_path / "folder") as folder, replacement(tmp_path / "link") as link:
            folder.mkdir()
            (folder / name).touch()
            (folder / "nowhere").symlink_to("nowhere")
            link.symlink_to(name)
    assert (tmp_path / "folder" / "one").exists()
    assert os.readlink(tmp_path / "link") == "two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]


def test_a_file_does_not_take_the_place_of_a_folder_of_the_users(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(IsADirectoryError):
        write_file(tmp_path / "mine", "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_only_names_of_ours_go_and_only_a_day_after_their_process_died(tmp_path: Path) -> None:
    users = [".ssh", ".config", ".file.partial", f"a{PARTIAL}", f"{PARTIAL}~", "f" * 32]
    for name in (*users, PARTIAL, PARTIAL.replace("0", "1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "kept").touch()
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / PARTIAL)
    remove_abandoned(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*users, PARTIAL}


def test_what_a_link_leads_to_is_never_removed(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    for number in range(2):
        link = tmp_path / PARTIAL.replace("0", str(number))
        link.symlink_to(tmp_path / "mine")
    remove(link)
    remove_abandoned(tmp_path, seconds=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "kept").exists()
