"""Secrets belong in the environment: what a recipe says is written into manifests and reports."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

SHAPES: Final = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "an API key": r"\b(?:sk|rk|pk)-[A-Za-z0-9_-]{16,}|\bwandb_v\d_[A-Za-z0-9_-]{16,}",
    "a GitHub token": r"\b(?:gh[opsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
    "an AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "a password in a URL": r"(?<=://)[^/\s@\"']+(?=@)",
    "a key in a URL's query": (
        r"(?<=[?&])(?:api[_-]?key|(?:access_|auth_)?token|key|secret|sig(?:nature)?)=[^&\s\"']+"
    ),
}
"""What a secret looks like wherever it stands."""
NAME: Final = re.compile(
    r"(?:^|[_.-])(?:token|api_?key|access_key|secret(?:_key)?|password|passwd|credentials?)$", re.I
)
"""How a variable or key that holds a secret is called."""
FLAG: Final = re.compile(r"^--(?:api-key|hf-token|token)(?:=|$)")
"""A command's word for a secret: other users of the machine can read command lines."""
VALUE: Final = re.compile(r"[\w+/=.-]{16,}")
LEAST: Final = 8
"""Shorter values of such variables are words, and would be found everywhere."""
REDACTED: Final = "[redacted]"


def secrets_in(values: Mapping[str, Any]) -> list[str]:
    """A line for each value of a composed recipe that looks like a secret, without the value."""
    known = secret_variables()
    return [
        f"{key}: looks like {what}; recipes are written into manifests, logs and reports. Take it "
        f"out, and set {_variable(what)} in the environment instead"
        for key, text in _leaves(values, "")
        if (what := _what(key, text, known))
    ]


def secret_variables() -> dict[str, str]:
    """The environment's secrets: value by the variable's name."""
    return {
        name: value
        for name, value in os.environ.items()
        if NAME.search(name) and len(value) >= LEAST and not value.startswith("/")
    }


def redact(text: str) -> str:
    """`text` with the environment's secrets, and whatever else looks like one, blacked out."""
    for value in secret_variables().values():
        text = text.replace(value, REDACTED)
    for shape in SHAPES.values():
        text = re.sub(shape, REDACTED, text)
    return text


def _what(key: str, text: str, known: Mapping[str, str]) -> str | None:
    for name, value in known.items():
        if value in text:
            return f"the value of {name}"
    for what, shape in SHAPES.items():
        if re.search(shape, text):
            return what
    if FLAG.search(text):
        return "a key on a command line"
    return "a secret, by its name" if NAME.search(key) and VALUE.fullmatch(text) else None


def _variable(what: str) -> str:
    if what.startswith("the value of "):
        return "only that variable"
    if "URL" in what:
        return "the variable that the endpoint's api_key_variable names"
    if "command line" in what:
        return "VLLM_API_KEY"
    return "HF_TOKEN" if "Hugging Face" in what else "HF_TOKEN, WANDB_API_KEY or OPENAI_API_KEY"


def _leaves(value: Any, key: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for position, inner in enumerate(value):
            yield from _leaves(inner, f"{key}.{position}")
    elif isinstance(value, str):
        yield key, value
