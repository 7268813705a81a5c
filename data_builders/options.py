"""Options and right answers as people write them: with letters or without, beside or in a text."""

from __future__ import annotations

import re
from collections.abc import Iterable

from data_builders.sample import LETTERS
from reward_plugins.answers import answer_letter

_LETTERED = re.compile(r"\(?([A-Z])[.):]\s*(.*)", re.DOTALL)
_BY_LINE = re.compile(r"^[ \t]*\(?([A-Z])[.):]", re.MULTILINE)
_IN_LINE = re.compile(r"(?:^|(?<=\s))\(?([A-Z])[.):]\s+(?=\S)")
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_HEADING = re.compile(r"\s*(?:options|choices)\s*:?\s*\Z", re.IGNORECASE)
YES_NO = ("No", "Yes")
"""In the order of the released binary questions."""


def without_letters(options: Iterable[str]) -> tuple[str, ...]:
    """The texts of options, in the order of the letters they carry, if each carries one.

    Raises `ValueError`, which says what to mend, for letters that are not A, B, C ..., each once,
    for blank or repeated texts, for one option alone and for more than there are letters.
    """
    texts = [option.strip() for option in options]
    lettered = [_LETTERED.fullmatch(text) for text in texts]
    found = [match for match in lettered if match]
    if texts and len(found) == len(texts):
        by_letter = {match[1]: match[2].strip() for match in found}
        if "".join(sorted(by_letter)) != LETTERS[: len(texts)]:
            letters = ", ".join(match[1] for match in found)
            raise ValueError(
                f"options: carry the letters {letters}; letter them A, B, C, each once"
            )
        texts = [by_letter[letter] for letter in sorted(by_letter)]
    return _checked(texts)


def _checked(texts: list[str]) -> tuple[str, ...]:
    if len(texts) == 1:
        raise ValueError(f"options: one alone, {texts[0]!r}; separate two or more, in CSV by |")
    if len(texts) > len(LETTERS):
        raise ValueError(f"options: {len(texts)} of them; there are letters for {len(LETTERS)}")
    if not all(texts):
        raise ValueError(f"options: {texts} holds a blank one; fill it or leave it out")
    plain = [" ".join(text.split()).casefold() for text in texts]
    if twice := [text for text in texts if plain.count(" ".join(text.split()).casefold()) > 1]:
        raise ValueError(f"options: {twice[0]!r} stands there twice; leave one out")
    return tuple(texts)


def split_question(text: str) -> tuple[str, tuple[str, ...], str]:
    """A question, the options that follow it as "A. text", and what stands behind them.

    Options stand a line each, or all in one line; without any, the text is the question. Raises
    `ValueError` for lettered lines that do not run A, B, C.
    """
    for pattern in (_BY_LINE, _IN_LINE):
        run = _run(list(pattern.finditer(text)), strict=pattern is _BY_LINE)
        if run:
            ends = [mark.start() for mark in run[1:]] + [_line_end(text, run[-1].end())]
            spans = [text[mark.start() : end] for mark, end in zip(run, ends, strict=True)]
            question = _HEADING.sub("", text[: run[0].start()]).strip()
            return question, without_letters(spans), text[ends[-1] :].strip()
    return text.strip(), (), ""


def _run(marks: list[re.Match[str]], strict: bool) -> list[re.Match[str]]:
    """The marks of options: from the first A that a B follows, or all of them in another order."""
    letters = "".join(mark[1] for mark in marks)
    start = letters.find("AB")
    if start >= 0 or "".join(sorted(letters)) == LETTERS[: len(letters)]:
        return marks[max(start, 0) :] if len(marks) > 1 else []
    if strict and len(marks) > 1:
        raise ValueError(f"options: lettered {', '.join(letters)}; letter them A, B, C, each once")
    return []


def _line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end


def right_letter(answer: str, options: tuple[str, ...]) -> str:
    """The letter of the option that `answer` names, by letter or by text, tagged or not.

    Raises `ValueError` unless it names exactly one.
    """
    text = plain_answer(answer)
    letter = answer_letter(text, options)
    named = LETTERS[options.index(text)] if text in options else letter
    if named is None or (letter is not None and letter != named):
        raise ValueError(f"answer: {text!r} names not just one of the options {list(options)}")
    return named


def plain_answer(answer: str) -> str:
    """The answer to a question without options, without its tags."""
    tagged = _TAGGED.search(answer)
    return (tagged[1] if tagged else answer).strip()
