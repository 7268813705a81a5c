"""Which option an answer commits to: as a person would read it, and never a guess.

Standard library only, linear time, total: nothing that a policy may emit raises here. Training and
evaluation read answers with these same functions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 300
"""Characters that an answer may have beyond its longest option."""

_ASCII = str.maketrans("‘’“”„«»「」（）【】。，：；！–—", '\'\'"""""""()[].,:;!--')  # noqa: RUF001
_DRESS = re.compile(
    r"\\(?:boxed|fbox|text|textbf|mathrm|emph|underline)(?=\{)|[*_`\"$({}\[]|(?<!\w)'|'(?!\w)"
)
"""Emphasis, quotes, opening brackets and LaTeX say nothing about an answer."""
_LEAD = re.compile(
    r"(?:(?:so|thus|therefore|hence)\b,?\s*)?"
    r"(?:(?:(?:the|my|i|we)\s+)?(?:(?:final|correct|right|best|most likely)\s+)*"
    r"(?:answer|option|choice|choose|select|pick)\b(?:\s+is\b)?\s*[:=]?"
    r"|(?:it|this|that)(?:\s+is|'s)\b(?:\s+(?-i:an?)(?=\s+\w))?)\s*",
    re.IGNORECASE,
)
"""What may stand before an answer: "The correct answer is"."""
_LETTER = re.compile(r"([A-Z])(?!\w|\.\.)\s*(?:[])\.:,;!]+|-(?=\s))?\s*", re.IGNORECASE | re.ASCII)
_ENDING = re.compile(
    r"(?:is (?:correct|right|(?:the |my )?(?:(?:final|correct|right|best) )?(?:answer|choice)))?",
    re.IGNORECASE,
)
"""What may follow a letter that stands alone: "is the correct answer"."""
_SUBJECT = re.compile(
    r"(?:(?:the|a|an|this)\s+)?(?:camera|shot|video|clip|scene)\s+(?:(?:is|does|shows?)\s+)?"
    r"(?:an?\s+)?|(?:it|there|this|that)(?:\s+is|\s+does|'s)?\s+(?:an?\s+)?",
    re.IGNORECASE,
)
"""Who does what an option says: "The camera is"."""
_MANNER = re.compile(
    r"\s*(?:slowly|quickly|smoothly|steadily|gently|slightly|continuously)?"
    r"\s*(?:shot|movement|motion)?(?:\s*(?:in|throughout|during|over) (?:this|the)"
    r" (?:entire |whole )?(?:clip|video|shot|scene))?",
    re.IGNORECASE,
)
"""How it does so."""
_ECHO = re.compile(
    r"[\s,.;]*(?:it|that|the camera) (?:does|is|did|has)(?: not|n't)?[\s.!]*", re.IGNORECASE
)
"""What may follow Yes, or with its denial No: "it does"."""
_PAUSE = re.compile(r"[])]?\s*(?:[.,:;!]+(?:\s|$)|-\s|\s(?=because\b|since\b|as\b))")
_DOUBT = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|presumably|likely|might|may|could|would|should|unsure"
    r"|unclear|uncertain|guess|think|believe|seems?|appears?|but|however|although|though|unless"
    r"|except|otherwise|or|either|neither|nor|both|alternatively|instead|actually|wait|sorry|and"
    r"|then|while|plus|also|followed|if|when|whether|depend\w*|only|part(?:ly|ially)|almost|hopefully"
    r"|wrong|incorrect|false|none)\b",
    re.IGNORECASE,
)
"""Behind an answer, these take it back, weaken it or add another."""
_DENIAL = re.compile(r"\b(?:no|not|never|without|cannot)\b|n't\b", re.IGNORECASE)
_NEGATIVE = {"no", "not", "none", "never", "false"}
_ODD = re.compile(r"[?/\\|+&=<>~^%#@\u2026\u00ac\u2260]|\.\.")
"""Signs that join, doubt or compare: no plain answer has them beside its option's own text."""
_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d]+(?:'[^\W\d]+)*")
_IGNORED = {"the", "to", "a", "an", "towards", "toward"}
_EDGES = " \t\n.,!;:)]"


class Word(NamedTuple):
    """A word's stem and where it stands."""

    stem: str
    start: int
    end: int


class Options(NamedTuple):
    """The options' texts, ready to be looked for."""

    by_text: Mapping[str, str | None]
    """Letter by plain text; None where two options have the same."""
    by_stems: Mapping[tuple[str, ...], str | None]
    longest: int
    """Characters of a text."""
    most: int
    """Words of a text."""


def answer_letter(text: object, options: Sequence[str] | None = None) -> str | None:
    """The letter of the only option that the answer `text` commits to; None for none or several.

    Reads a letter, an option's own text, or both where they agree, in any dress: `A`, `(a)`,
    `**A**`, `\\boxed{A}`, `A. Yes`, `A - Yes`, `Answer: A`, `The correct answer is A`; a sentence
    that says an option's text ("The camera pans left" for "Pan left"); and behind a comma or a
    full stop an explanation that neither doubts it nor names another option ("A. Yes, it does").
    Where an option's text is itself another option's letter, the letter wins: prompts ask for it.

    `options` are the texts without letters. If None they are unknown: any letter will do, and the
    text behind it passes unless it holds another capital letter standing alone.
    """
    if not isinstance(text, str):
        return None
    letters = LETTERS if options is None else LETTERS[: len(options)]
    if len(text) == 1 and text in letters:  # nearly every answer of a trained policy
        return text
    known = _options(() if options is None else tuple(options))
    answer = " ".join(text.translate(_ASCII).split())
    if len(answer) > LONGEST + known.longest:
        return None
    if (named := known.by_text.get(_plain(answer))) and len(_plain(answer)) > 1:
        return named
    return _committed(_undress(answer), None if options is None else known, letters)


def _committed(answer: str, known: Options | None, letters: str) -> str | None:
    """The option that an undressed answer names by its letter, or else by its text."""
    for _ in range(3):  # "So the answer is: Option B"
        answer = answer[lead.end() :] if (lead := _LEAD.match(answer)) else answer
    if (form := _LETTER.match(answer)) and (letter := form[1].upper()) in letters:
        rest = answer[form.end() :]
        separate = answer[form.end(1) : form.end()].strip()
        if known is None:
            return letter if not rest or (separate and not _lone_letters(rest)) else None
        if _ENDING.fullmatch(rest.strip(_EDGES)) or _said(rest, known) == letter:
            return letter
        if separate or not _SUBJECT.match(answer):  # else "A camera pans left"
            return None
    return None if known is None else _said(answer, known)


def _said(text: str, known: Options) -> str | None:
    """The option whose text `text` says, whatever inflexion, and nothing against it."""
    if named := known.by_text.get(_plain(text)):
        return named
    if subject := _SUBJECT.match(text):
        text = text[subject.end() :]
    words = list(_words(text))
    for count in range(min(known.most, len(words)), 0, -1):
        stems = tuple(word.stem for word in words[:count])
        if stems in known.by_stems:
            end = words[count - 1].end
            lead = text[: words[0].start].casefold().split()
            plain = _IGNORED.issuperset(lead) and not _ODD.search(text[:end])
            letter = known.by_stems[stems]
            return letter if plain and _upholds(text[end:], stems, known, letter) else None
    return None


def _upholds(tail: str, stems: tuple[str, ...], known: Options, letter: str | None) -> bool:
    """Whether what follows an option's text leaves it standing as the only answer."""
    if again := _LETTER.fullmatch(tail.strip(" :-")):
        return again[1] == letter
    negative, denies = stems[0] in _NEGATIVE, bool(_DENIAL.search(tail))
    if _ECHO.fullmatch(tail):
        return denies == negative
    if _MANNER.fullmatch(tail.rstrip(_EDGES)):
        return True
    return (
        bool(_PAUSE.match(tail))
        and (negative or not denies)
        and not _ODD.search(tail)
        and not _DOUBT.search(tail)
        and not _lone_letters(tail)
        and not _others(tail, stems, known)
    )


def _others(tail: str, stems: tuple[str, ...], known: Options) -> bool:
    """Whether another option's text occurs in `tail`."""
    said = f" {' '.join(word.stem for word in _words(tail))} "
    return any(other != stems and f" {' '.join(other)} " in said for other in known.by_stems)


def _lone_letters(text: str) -> bool:
    return re.search(r"\b[A-Z]\b", text, re.ASCII) is not None


def _undress(text: str) -> str:
    return " ".join(_DRESS.sub(" ", text).split())


def _plain(text: str) -> str:
    return " ".join(text.split()).rstrip(_EDGES).casefold()


def _words(text: str) -> Iterator[Word]:
    """The words that matter, inflexion cut off."""
    for match in _WORD.finditer(text):
        if (word := match[0].casefold()) not in _IGNORED:
            yield Word(_stem(word), match.start(), match.end())


@lru_cache(maxsize=4096)
def _stem(word: str) -> str:
    """`pan` of pans, panning and panned; short words stay."""
    stem = re.sub(r"ies$", "y", word)
    cut = re.sub(r"(?:ing|ed|s)$", "", stem)
    stem = cut if len(cut) > 2 else stem
    stem = re.sub(r"([b-df-hj-np-tv-z])\1$", r"\1", stem)
    return stem[:-1] if len(stem) > 3 and stem.endswith("e") else stem


@lru_cache(maxsize=4096)
def _options(options: tuple[str, ...]) -> Options:
    by_text: dict[str, str | None] = {}
    by_stems: dict[tuple[str, ...], str | None] = {}
    for letter, option in zip(LETTERS, options, strict=False):
        plain = _plain(option.translate(_ASCII))
        by_text[plain] = None if plain in by_text else letter  # a repeated text names neither
        stems = tuple(word.stem for word in _words(_undress(option.translate(_ASCII))))
        by_stems[stems] = None if stems in by_stems else letter
    by_text.pop("", None)
    by_stems.pop((), None)
    longest, most = (max(map(len, texts), default=0) for texts in (options, by_stems))
    return Options(by_text, by_stems, longest, most)
