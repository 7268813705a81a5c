"""What goes wrong on the machine is one line with its remedy, not a traceback."""

from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.console import Console

VERBS = ["run", "plan", "status", "doctor", "ablate sweep=format_weight", "stage stage=sft"]
ABOUT_RUNS = ["show run=tiny", "clean-runs", "publish run=tiny", "diff run=a,b", "repro run=tiny"]
FOLDERS = [
    ("{}/file/runs", "Not a directory"),
    ("{}/file", "Not a directory"),
    ("{}/" + "n" * 300, "File name too long"),
    ("{}/loop/runs", "Too many levels of symbolic links"),
    ("/proc/x/y", "No such file"),
    ("", "is empty"),
]


@pytest.mark.parametrize(("folder", "said"), FOLDERS)
@pytest.mark.parametrize("verb", [*(f"{verb} recipe=tiny" for verb in VERBS), *ABOUT_RUNS])
def test_an_impossible_runs_directory_is_told_by_every_verb(
    verb: str, folder: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    assert cli.main([*verb.split(), f"runs_dir={folder.format(tmp_path)}"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: runs_dir=") and error.count("\n") == 1 and said in error
    assert "name another folder (runs_dir=)" in error or "name a folder" in error


def test_a_runs_directory_that_is_only_looked_at_is_not_made(tmp_path: Path) -> None:
    for verb in ("status recipe=tiny", "clean-runs"):
        assert cli.main([*verb.split(), f"runs_dir={tmp_path}/new/runs"]) == 0
    assert not any(tmp_path.iterdir())


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
