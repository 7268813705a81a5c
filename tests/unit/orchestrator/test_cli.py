"""What goes wrong on the machine is one line with its remedy, not a traceback."""

from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.console import Console


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("file/runs", "Not a directory"),
        ("n" * 300, "File name too long"),
        ("loop/runs", "Too many levels of symbolic links"),
    ],
)
def test_an_impossible_runs_directory_is_told(
    folder: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert cli.main(["plan", "recipe=tiny", f"runs_dir={tmp_path}/{folder}"]) == 1
    error = capsys.readouterr().err
    assert said in error and "name another folder (runs_dir=)" in error


@pytest.mark.parametrize("name", ["x[/b]", "[/]", "[bold]x", "it's é", r"back\[slash"])
def test_any_name_can_be_printed(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["plan", "recipe=tiny", f"runs_dir={tmp_path}/{name}"]) == 0
    assert (tmp_path / name / "tiny" / "plan").is_dir()
    shown = "x[/b]" not in name or "x[/b]/.stages/data" in capsys.readouterr().out
    assert shown


def test_a_terminal_is_not_steered_by_what_a_model_or_a_log_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    for show in (console.say, console.text, console.error):
        show("a\x1b]0;title\x07\x1b[2J\x9b31mb\r\x7fc\td")
    out, err = capsys.readouterr()
    spelt = r"a\x1b]0;title\x07\x1b[2J\x9b31mb"
    assert (out + err).count(spelt) == 3
    assert not set(out + err) & {"\x1b", "\x07", "\x9b", "\r", "\x7f"}


def test_a_recipe_that_is_no_text_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own.yaml").write_bytes(b"\xff\xfe\x00")
    assert cli.main(["plan", f"recipe={tmp_path}/own.yaml"]) == 1
    assert "own.yaml" in capsys.readouterr().err
