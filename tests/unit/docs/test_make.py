"""What is typed after `make` reaches the command line as it was typed, or is refused."""

import shlex
import subprocess

import pytest

from orchestrator import cli
from orchestrator.plan.stage import ROOT
from tests.unit.docs.test_commands import dry_run


def words_of(*typed: str) -> list[str]:
    """The arguments of our command line."""
    line = next(x for x in dry_run(shlex.join(["make", *typed])) if "-m orchestrator" in x)
    words = shlex.split(line)
    return cli.words(words[words.index("orchestrator") + 1 :])


@pytest.mark.parametrize("text", ['it\'s $5, "or" `x`?', "$HOME $(RECIPE) ${PATH} \\n", "a  b;c"])
def test_questions_clips_and_paths_are_passed_as_they_are(text: str) -> None:
    assert words_of("predict", f"CLIP={text}.mp4", f"QUESTION={text}") == [
        "predict",
        f"clip={text}.mp4",
        f"question={text}",
    ]
    assert words_of("plan", f"RECIPE={text}.yaml") == ["plan", f"recipe={text}.yaml"]
    key = f"rl.extra.x={text}"
    assert words_of("plan", f"ARGS=seed=3 {shlex.quote(key)}")[2:] == ["seed=3", key]


def test_variables_are_keys() -> None:
    assert words_of("diff", "RUN=tiny,the other") == ["diff", "run=tiny,the other"]
    assert words_of("publish", "RECIPE=tiny") == ["publish", "run=tiny"]
    assert words_of("serve", "MODEL=tiny/rl", "ARGS=port=0") == ["serve", "model=tiny/rl", "port=0"]
    assert words_of("ablate", "SWEEP=group_size", "SEEDS=0,1", "RECIPE=tiny") == [
        *("ablate", "recipe=tiny", "sweep=group_size", "seeds=0,1")
    ]


@pytest.mark.parametrize("typed", ["rl.group_size=4", "seed=9", "RECIPES=tiny"])
def test_a_variable_that_nothing_reads_is_refused(typed: str) -> None:
    done = subprocess.run(
        ["make", "-n", "plan", typed], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f'{typed.partition("=")[0]}: no such variable; keys of the recipe go into ARGS="' in (
        done.stderr
    )
