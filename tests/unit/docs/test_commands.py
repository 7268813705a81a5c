"""Every command that README and docs show is one that works, up to where a trainer would start."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from orchestrator import cli
from orchestrator.ablate.sweep import expand, load_sweep
from orchestrator.console import Console
from orchestrator.plan.make import make_plan
from orchestrator.plan.stage import ROOT
from orchestrator.recipe import load_recipe
from orchestrator.rehearse.changes import load_spec, rehearsed
from orchestrator.verbs import VERBS
from orchestrator.verbs.arguments import RecipeArguments, split
from orchestrator.verbs.recipes import ABOUT, StageArguments, StatusArguments
from orchestrator.verbs.rehearsals import RehearseArguments
from orchestrator.verbs.sweeps import AblateArguments
from reward_plugins.errors import CamReasonerError

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OWN = "camreasoner "
STARTS = ("make ", "python", ".venv/bin/", OWN)
NO_VERBS = {"help", "test", "test-weekly", "lint", "bench", "docs", "lock"}
"""Targets of make that are not about a recipe or a run."""


def shown() -> Iterator[str]:
    """Commands in the fenced blocks, without their comments."""
    for page in PAGES:
        for block in re.findall(r"^```(?:\w*)\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in block.splitlines():
                command = line.partition("  #")[0].strip()
                if (
                    command.startswith(("make ", "python", ".venv/bin/", OWN))
                    and "<" not in command
                ):
                    yield command


COMMANDS = sorted(set(shown()))


def test_commands_are_found() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_works(command: str, tmp_path: Path) -> None:
    lines = dry_run(command) if command.startswith("make ") else [command]
    lines = [re.sub(f"^{OWN}", "orchestrator ", line) for line in lines]
    ours = [words for words in map(shlex.split, lines) if "orchestrator" in words]
    assert ours or command.split()[1] in NO_VERBS or not command.startswith("make ")
    for words in ours:
        verb, *arguments = cli.words(words[words.index("orchestrator") + 1 :])
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


def arrives(verb: str, words: list[str], runs: Path) -> None:
    """The verb is known, and its recipe with all overrides makes a plan; or it lacks just a run."""
    words = [*words, f"runs_dir={runs}"]
    if verb == "ablate":
        own, overrides = split(verb, AblateArguments, words)
        sweep = load_sweep(own.sweep, own.sweep_values, own.sweep_key)
        arms, _ = expand(sweep, own.recipe, overrides, own.seeds, runs, runs / "to")
        assert arms
    elif verb == "stage":
        staged, overrides = split(verb, StageArguments, words)
        assert staged.stage in load_recipe(staged.recipe, overrides).stages
    elif verb == "rehearse":
        meant, overrides = split(verb, RehearseArguments, words)
        _, small = rehearsed(meant.recipe, overrides, load_spec(meant.device))
        assert make_plan(small, runs).stages
    elif verb in ABOUT or verb == "status":
        about, overrides = split(
            verb, StatusArguments if verb == "status" else RecipeArguments, words
        )
        assert make_plan(load_recipe(about.recipe, overrides), runs).stages
    else:
        lists = verb == "clean-runs" or (verb == "show" and len(words) == 1)  # of no run at all
        with nullcontext() if lists else pytest.raises(CamReasonerError) as missing:
            VERBS[verb](words, Console())
        assert missing is None or "usage" not in str(missing.value)


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
