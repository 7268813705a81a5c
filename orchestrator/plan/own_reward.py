"""What trainers and evaluation are told of the reward: tasks, terms, this project's, own files."""

from __future__ import annotations

import json
from typing import Any

from orchestrator.plan.values import OUT, Joined, Source
from orchestrator.recipe import Recipe
from orchestrator.recipe.own_code import OwnFunction, own_function

COPY, TERM = "reward", "term_"
"""The stage's copies of the recipe's own files: what scored the responses is kept with them."""


def files(recipe: Recipe) -> dict[str, Source]:
    """The copies of the recipe's own files, its reward and graders, with neighbours they import."""
    function = recipe.rl.reward.function
    own = {COPY: _own(function)} if function else {}
    own |= {copy: _own(f"{file}:{name}") for file, (copy, name) in _graders(recipe).items()}
    terms = recipe.rl.reward.terms.values()
    own |= {f"{TERM}{n}": _own(term.function) for n, term in enumerate(terms)}
    copies = (each.copies(name) for name, each in own.items())
    return {path: Source(text) for found in copies for path, text in found.items()}


def _own(reference: str) -> OwnFunction:
    return own_function(reference, alone=False)


def tasks(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """How each task is graded, own graders by the stage's copy of their file."""
    copies, found = _graders(recipe), {}
    for name, task in recipe.tasks.items():
        file, _, function = task.grader.rpartition(":")
        own: str | Joined = task.grader
        if file:
            own = Joined((OUT / _own(task.grader).home(copies[file][0]), f":{function}"))
        found[name] = {**task.settings, "grader": own}
    return found


def _graders(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """By file that graders of tasks are in: the stage's copy, and a function in it."""
    references = [task.grader for task in recipe.tasks.values() if ":" in task.grader]
    own = {file: name for file, _, name in (each.rpartition(":") for each in references)}
    return {file: (f"grader_{n}", name) for n, (file, name) in enumerate(own.items())}


def _tasks_text(recipe: Recipe) -> str | Joined:
    """`tasks` as JSON, in one text: names of tasks may have spaces and dots, keys may not."""
    parts: list[Any] = [json.dumps({name: task.settings for name, task in recipe.tasks.items()})]
    for file, (name, function) in _graders(recipe).items():
        copy = _own(f"{file}:{function}").home(name)
        parts = [
            piece
            for part in parts
            for piece in (
                _replaced(part, json.dumps(file)[:-1], copy) if isinstance(part, str) else [part]
            )
        ]
    return Joined(tuple(parts)) if len(parts) > 1 else str(parts[0])


def _replaced(text: str, file: str, copy: str) -> list[Any]:
    first, *others = text.split(f"{file}:")
    return [first, *(piece for other in others for piece in ('"', OUT / copy, f":{other}"))]


def ema_key(recipe: Recipe) -> str:
    """What has a std of its own, as `EmaNormalizer` takes it: its word, or a name by task."""
    shared = {name: task.ema for name, task in recipe.tasks.items() if task.ema}
    key = recipe.rl.ema.key
    return json.dumps(shared) if shared and key == "task" else key


def reference(recipe: Recipe) -> Joined | None:
    """`path/to/file.py:name` of the own reward, once the stage's files are written."""
    own = recipe.rl.reward.function and _own(recipe.rl.reward.function)
    return Joined((OUT / own.home(COPY), f":{own.name}")) if own else None


def arguments(recipe: Recipe) -> dict[str, Any]:
    """Keyword arguments of the reward: the stage's settings, the tags, and a file's own."""
    reward = recipe.rl.reward
    settings = reward.model_dump(mode="json", exclude={"function", "arguments", "terms"})
    told = {"tasks": _tasks_text(recipe), "tags": list(recipe.prompt.tags)}
    return {**settings, **told, **reward.arguments}


def module(recipe: Recipe) -> str:
    """Who scores responses in training: `terms` knows more than `reward`."""
    reward = recipe.rl.reward
    return "terms" if reward.function or reward.terms else "reward"


def trainer_arguments(recipe: Recipe) -> dict[str, Any]:
    """The same, with the file's `function` and the `terms` for the reward that calls them."""
    told = {"function": reference(recipe), "terms": terms(recipe)}
    return arguments(recipe) | {key: value for key, value in told.items() if value}


def terms(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """Settings of each term, its function by the stage's copy of the file."""
    found = {}
    for n, (name, term) in enumerate(recipe.rl.reward.terms.items()):
        own = _own(term.function)
        copy = Joined((OUT / own.home(f"{TERM}{n}"), f":{own.name}"))
        found[name] = {**term.model_dump(mode="json"), "function": copy}
    return found


def config(recipe: Recipe) -> dict[str, Any] | None:
    """What the evaluation is told of an own reward."""
    own = reference(recipe)
    return None if own is None else {"function": own, "arguments": arguments(recipe)}
