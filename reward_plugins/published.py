"""How other published rewards read a response: by regular expressions that forgive repeats.

Linear time, whatever a policy writes. `reward.RULES` says which rule is whose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence


def has_blocks(text: str, tags: Sequence[str]) -> bool:
    """Whether `text` begins with the first block, ends with the last, and joins them in order.

    Within a block anything may stand, other tags too: `<think>.*?</think>\\s*<answer>.*?</answer>`
    as a full match, dots being any character.
    """
    start = 0
    for number, tag in enumerate(tags):
        opening, closing = f"<{tag}>", f"</{tag}>"
        if not text.startswith(opening, start):
            return False
        start += len(opening)
        if number == len(tags) - 1:
            return text.endswith(closing) and len(text) - len(closing) >= start
        start = _joint(text, start, closing, f"<{tags[number + 1]}>")
        if start < 0:
            return False
    return False


def _joint(text: str, start: int, closing: str, opening: str) -> int:
    """Where the first `opening` is that follows a `closing` after nothing but whitespace; or -1."""
    while (end := text.find(closing, start)) >= 0:
        start = end + len(closing)
        begin = text.find(opening, start)
        if begin < 0:
            return -1
        if not text[start:begin].strip():
            return begin
    return -1


def blocks(text: str, tag: str) -> list[str]:
    """What stands in each block called `tag`, each up to the next end."""
    closing = f"</{tag}>"
    whole = text[: text.rfind(closing) + len(closing)] if closing in text else ""
    return re.findall(f"<{tag}>(.*?){closing}", whole, re.DOTALL)


def plain(text: str) -> str:
    """The last answer block, or all of `text`, in one line, small letters and no final dots."""
    found = blocks(text, "answer")
    last = found[-1] if found else text
    for end in "\n\r":
        last = re.sub(f"(?<!\\s){end}", " ", re.sub(f"(?<=\\s){end}", "", last))
    return last.strip().rstrip(".").lower()
