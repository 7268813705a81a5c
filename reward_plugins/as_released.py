"""CamReasoner's released reward rules, for comparison with the strict ones of `ota`.

Source: CamReasoner at 8b71188, `EasyR1/verl/reward_function/onethinker_reward.py` lines 34-57,
369-374, 620-668. The format accepts repeated blocks and tags within blocks; the answer is the
first one anywhere, or else the whole response; letters are compared by mathruler 0.1.0.

Of mathruler's `grade_answer` this reproduces what decides about option letters: case, outer
whitespace, spaces, `$`, `%` and braces are ignored, `(A)`, `[A]`, and LaTeX's boxes and text
styles (`\\boxed{A}`) are unwrapped. It leaves out its algebra (`1*A`, `A^1`), units (`A cm`),
equations (`x=A`), LaTeX delimiters and spacing (`\\(A\\)`) and digit separators: a response it
accepts is one that mathruler accepts, not the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

_LONGEST = 64  # characters, spaces apart, of an answer that may still be a letter: bounds the work
_WRAPPER = re.compile(r"\\(?:boxed|fbox|text|textbf|mathrm|emph|underline)(?=\{)")
_IGNORED = str.maketrans("", "", "{}")


def tighten(text: str) -> str:
    """`text` without the whitespace around every `<`, `>` and `/`, as the released code has it.

    It also drops whitespace at the two ends, which the released format and matching both ignore.
    """
    for mark in "<>/":
        text = mark.join(map(str.strip, text.split(mark)))
    return text


def has_format(tight: str, tags: Sequence[str]) -> bool:
    """Whether tightened text starts with the first tag, ends with the last, and joins in order."""
    if not tight.startswith(f"<{tags[0]}>"):
        return False
    start = len(tags[0]) + 2
    for before, after in pairwise(tags):
        joint = f"</{before}><{after}>"
        found = tight.find(joint, start)
        if found < 0:
            return False
        start = found + len(joint)
    return tight.endswith(f"</{tags[-1]}>", start)


def answer_text(tight: str) -> str:
    """The first non-empty answer block of tightened text, or else all of it."""
    body, closed, _ = tight.partition("<answer>")[2].partition("</answer>")
    return (body.strip() if closed else "") or tight


def names_letter(answer: str, letter: str) -> bool:
    """Whether mathruler, as far as this module reproduces it, takes `answer` for `letter`."""
    return _unwrap(answer) == letter.lower()


def _unwrap(answer: str) -> str:
    text = answer.strip().replace(" ", "").replace("$", "").replace("%", "")
    if len(text) > _LONGEST:
        return ""
    text = _WRAPPER.sub("", text).translate(_IGNORED)
    if text[:1] == "[" and text[-1:] == "]":
        text = text[1:-1]
    else:
        while text[:1] == "(" and text[-1:] == ")":
            text = text[1:-1]
    return text.lower()
