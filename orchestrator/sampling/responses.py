"""The file of sampled responses: one JSON object a question, a torn last line cut off."""

from __future__ import annotations

import json
from pathlib import Path


def read_responses(path: Path) -> dict[str, list[str | None]]:
    """Responses by question id; cuts off a last line that a killed process left half written."""
    if not path.is_file():
        return {}
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if whole != text:
        with path.open("r+b") as file:
            file.truncate(len(whole))
    rows = (json.loads(line) for line in whole.decode().splitlines())
    return {row["id"]: row["responses"] for row in rows}
