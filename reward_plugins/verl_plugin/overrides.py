"""Keys and values -> Hydra's override grammar, which reads an unquoted 1 as a number."""

import json
import re
from collections.abc import Mapping
from typing import Any


def to_hydra(overrides: Mapping[str, Any]) -> list[str]:
    """`key=value` lines for `hydra.compose`."""
    return [f"{key}={_literal(value)}" for key, value in overrides.items()]


def _literal(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        plain = re.fullmatch(r"[a-z_]{6,}|/[\w./@-]+", value, re.ASCII)
        return value if plain else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_literal(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_literal(inner)}" for key, inner in value.items()) + "}"
    return repr(value)
