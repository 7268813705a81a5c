"""Functions of an exported task, which lmms-eval loads from the task's own folder.

The accuracy here reads answers in a simple way; import the logged samples for ours.
"""

from __future__ import annotations

import re
from typing import Any

from PIL import Image


def doc_to_visual(doc: dict[str, Any]) -> list[Any]:
    """Its videos as paths, its images as they are."""
    return [p if p.endswith(".mp4") else Image.open(p).convert("RGB") for p in doc["media"]]


def doc_to_text(doc: dict[str, Any], lmms_eval_specific_kwargs: Any = None) -> str:
    """The prompt that training used."""
    return str(doc["prompt"])


def process_results(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the answer block, or else the response, begins with the right letter."""
    response = results[0]
    block = re.search(r"<answer>(.*?)(?:</answer>|$)", response, re.DOTALL)
    said = re.match(r"\W*([A-Z])\b", block.group(1) if block else response)
    return {"accuracy": float(said is not None and said.group(1) == doc["answer"])}
