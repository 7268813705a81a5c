"""Secrets belong in the environment: what a recipe says is written into manifests and reports."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

SHAPES: Final = {
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "a GitHub token": r"\b(?:gh[oprsu]_[A-Za-z0-9]{20,}|github_pat_\w{20,})",
    "a GitLab token": r"\bglpat-[\w-]{20,}",
    "an AWS key": (
        r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
        r"|(?<![\w+/=-])(?=[A-Z\d+/]*[a-z])(?=[a-z\d+/]*[A-Z])(?=[A-Za-z+/]*\d)"
        r"[A-Za-z\d+/]{40}(?![\w+/=-])"
    ),
    "a Google key": r"\bAIza[\w-]{35}|\bya29\.[\w.-]{20,}",
    "a Slack token": r"\bxox[abeoprs]-[\w-]{10,}|\bxapp-[\w-]{10,}",
    "an API key": (
        r"\b(?:sk|rk|pk)[-_][A-Za-z0-9_-]{16,}|\bwandb_v\d_[A-Za-z0-9_-]{16,}"
        r"|\b(?:gsk|nvapi|npm|pypi|dckr_pat|r8)[-_][A-Za-z0-9_-]{20,}"
    ),
    "a JSON web token": r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*",
    "a private key": (
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    ),
    "a header with a key": (
        r"\b(?i:bearer)\s+(?=[\w+/=.~-]*\d)[\w+/=.~-]{8,}"
        r"|(?<=uthorization)[\"']?\s*[:=]\s*[\"']?\w+\s+[\w+/=.~-]{4,}"
    ),
    "a password in a URL": r"(?<=://)[^/\s@\"']+(?=@)",
    "a key in a URL's query": (
        r"(?<=[?&])(?:api[_-]?key|(?:access_|auth_)?token|key|secret|sig(?:nature)?)=[^&\s\"']+"
    ),
}
"""What a secret looks like wherever it stands."""
HEX: Final = re.compile(r"(?<![\w/@:-])[0-9a-f]{40}(?![\w-])")
"""A key of Weights & Biases, or the hash of a commit."""
HASHES: Final = re.compile(r"(?i)revision|commit|sha|hash|digest|tree|index|blob|checksum|\brev\b")
NAME: Final = re.compile(
    r"(?:^|[_.-])(?:token|api_?key|access_key|secret(?:_key)?|password|passwd|credentials?)$", re.I
)
"""How a variable or key that holds a secret is called."""
VARIABLE: Final = re.compile(
    r"(?:^|_)(?:\w*token|\w*key|\w*secret|\w*pass(?:wd|word|phrase)?|auth(?:orization)?|bearer"
    r"|cookie|credentials?)(?:_\d+)?$|_(?:pat|pwd|dsn)$",
    re.I,
)
"""As `NAME`, for variables alone: there a word that names no secret costs nothing."""
ASSIGNED: Final = re.compile(
    r"(?P<name>(?:\b|[_.-])(?:(?:access|auth|api|hf|hub|refresh|secret|session)_?token|api_?key"
    r"|access_key|secret(?:_(?:access_)?key)?|passw(?:or)?d|passphrase|credentials?)[\"']?"
    r"\s*[:=]\s*)(?P<mark>[\"']?)[^\s\"'(){}\[\],;$<]{6,}(?![\w.]*[(\[])",
    re.I,
)
"""`password: hunter2` in text, but not what is called there."""
FLAG: Final = re.compile(r"^--(?:api-key|hf-token|token)(?:=|$)")
"""A command's word for a secret: other users of the machine can read command lines."""
FROM_ENVIRONMENT: Final = re.compile(r"\$\{\s*oc\.(?:env|decode)\b")
VALUE: Final = re.compile(r"[\w+/=.-]{16,}")
LEAST: Final = 6
"""Shorter values of such variables are words, and would be found everywhere."""
REDACTED: Final = "[redacted]"
CONFIGURED: Final = "CAMREASONER_SECRETS"
"""Names the variables that a recipe says hold a key, for each process of a run."""


def guard(values: Mapping[str, Any]) -> None:
    """Have every process from here on black out what the recipe's `…_variable` keys name."""
    named = {text for key, text in _leaves(values, "") if key.endswith("_variable")}
    os.environ[CONFIGURED] = ",".join(sorted(named | set(_configured(os.environ))))


def secrets_in(values: Mapping[str, Any]) -> list[str]:
    """A line for each value of a composed recipe that looks like a secret, without the value."""
    known = secret_variables()
    return [
        f"{key}: looks like {what}; recipes are written into manifests, logs and reports. Take it "
        f"out, and set {_variable(what)} in the environment instead"
        for key, text in _leaves(values, "")
        if (what := _what(key, text, known))
    ]


def environment_in(values: Mapping[str, Any]) -> list[str]:
    """A line for each value, as it is written, that would take one from the environment."""
    return [
        f"{key}: takes its value from the environment, which may be a secret, into manifests, logs "
        "and reports. Write it out; a key's variable is named by api_key_variable"
        for key, text in _leaves(values, "")
        if FROM_ENVIRONMENT.search(text)
    ]


def secret_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment's secrets: value by the variable's name."""
    configured = _configured(environ)
    return {
        name: value
        for name, value in environ.items()
        if (name in configured or VARIABLE.search(name))
        and len(value) >= LEAST
        and not (value.startswith("/") and os.path.exists(value))
    }


def redact(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text` with the environment's secrets, and whatever else looks like one, blacked out.

    A value is known in base64, quoted for a URL and escaped as well.
    """
    text = _pattern(frozenset(secret_variables(environ).values())).sub(REDACTED, text)
    text = ASSIGNED.sub(rf"\g<name>\g<mark>{REDACTED}", text)
    if HEX.search(text) is None:
        return text
    lines = text.splitlines(keepends=True)
    return "".join(line if HASHES.search(line) else HEX.sub(REDACTED, line) for line in lines)


@lru_cache(4)
def _pattern(values: frozenset[str]) -> re.Pattern[str]:
    forms = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
    return re.compile("|".join([*map(re.escape, forms), *SHAPES.values()]))


def _forms(value: str) -> Iterator[str]:
    """How a value may stand in text; each line of it, where it has several."""
    quoted = (quote(value, safe=""), quote(value), quote_plus(value))
    yield from (value, json.dumps(value)[1:-1], *quoted, *map(_lower_escapes, quoted))
    yield from (line for line in value.splitlines() if len(line) >= LEAST)
    for before in range(3):  # base64 of a longer text that holds it, such as `user:password`
        data = b"\0" * before + value.encode(errors="replace")
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            whole = alphabet(data).decode().rstrip("=")
            inner = whole[-(-before * 8 // 6) : len(data) * 8 // 6]
            if len(inner) >= LEAST:
                yield inner


def _lower_escapes(quoted: str) -> str:
    return re.sub("%..", lambda escape: escape[0].lower(), quoted)


def _configured(environ: Mapping[str, str]) -> list[str]:
    return [name for name in environ.get(CONFIGURED, "").split(",") if name]


def _what(key: str, text: str, known: Mapping[str, str]) -> str | None:
    for name, value in known.items():
        if any(form in text for form in _forms(value)):
            return f"the value of {name}"
    for what, shape in SHAPES.items():
        if re.search(shape, text):
            return what
    if FLAG.search(text):
        return "a key on a command line"
    if HEX.fullmatch(text) and not HASHES.search(key):
        return "an API key"
    named = NAME.search(key) and VALUE.fullmatch(text)
    return "a secret, by its name" if named or ASSIGNED.search(f"{key}: {text}") else None


def _variable(what: str) -> str:
    if what.startswith("the value of "):
        return "only that variable"
    if "URL" in what or "header" in what:
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
