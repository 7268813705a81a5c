"""Every command that README and docs show is one that works, up to where a trainer would start."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import cli, verbs
from orchestrator.ablate import _options, _scalars, _seeds
from orchestrator.plan import make_plan
from orchestrator.recipe import load_recipe
from orchestrator.stage import ROOT
from orchestrator.sweep import expand, load_sweep

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {
    "show": "tests/unit/orchestrator/test_run_verbs.py",
    "diff": "tests/unit/orchestrator/test_run_verbs.py",
    "repro": "tests/unit/orchestrator/test_run_verbs.py",
    "clean-runs": "tests/unit/orchestrator/test_run_verbs.py",
    "publish": "tests/unit/publish",
    "predict": "tests/unit/ask",
    "serve": "tests/unit/ask",
}
"""Verbs about runs and checkpoints, which are tested where there are some."""


def shown() -> Iterator[str]:
    """Commands in the fenced blocks, without their comments."""
    for page in PAGES:
        for block in re.findall(r"^```(?:\w*)\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.splitlines():
                command = line.partition("  #")[0].strip()
                if command.startswith(("make ", "python", ".venv/bin/")) and "<" not in command:
                    yield command


COMMANDS = sorted(set(shown()))


def test_commands_are_found() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_works(command: str, tmp_path: Path) -> None:
    for line in dry_run(command) if command.startswith("make ") else [command]:
        words = shlex.split(line)
        if "orchestrator" in words:
            verb, *arguments = words[words.index("orchestrator") + 1 :]
            arrives(verb, arguments, tmp_path)


def dry_run(command: str) -> list[str]:
    """The shell lines that make would run."""
    made = subprocess.run(
        [*shlex.split(command), "-n", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.splitlines()


def arrives(verb: str, arguments: list[str], runs: Path) -> None:
    """The verb is known, and its recipe with all overrides makes a plan."""
    if verb in ELSEWHERE:
        assert (ROOT / ELSEWHERE[verb]).exists()
        return
    name, _, overrides = cli.split(arguments)
    if verb == cli.SWEEP:
        given, overrides = _options(overrides)
        sweep = load_sweep(
            given.get("sweep"), _scalars(given.get("sweep_values")), given.get("sweep_key")
        )
        arms, _ = expand(sweep, name, overrides, _seeds(given.get("seeds")), runs, runs / "to")
        assert arms
    else:
        assert verb in verbs.VERBS
        assert make_plan(load_recipe(name, overrides), runs).stages


def test_every_target_is_named_in_the_help() -> None:
    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony is not None
    targets = set(phony[1].split()) - {"demo-banner"}
    assert targets == {line.split()[0] for line in helped.stdout.splitlines()[1:]}
