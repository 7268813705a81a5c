"""Questions in the rows of other trainers, read as their own loaders read them.

A row is LLaMA-Factory's sharegpt (`messages`, or `conversations` with `from` and `value`), EasyR1's
(`problem`, `answer`) or verl's (`prompt`, `reward_model`). Its clip is in `videos`, `images` or
`path`; options stand in `options` or in the text, with letters or without; the answer is an option
or its letter, in tags or bare, in the assistant's turn, `answer`, `solution` or
`reward_model.ground_truth`. The instructions behind the options are left out: the recipe's own
prompt gives them.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from data_builders.annotations import AnnotationsError, Row, read_rows, said
from data_builders.media import PLACE, PLACEHOLDERS, Item, Kind, image, video
from data_builders.motion import family
from data_builders.options import (
    YES_NO,
    plain_answer,
    right_letter,
    split_question,
    without_letters,
)
from data_builders.sample import Sample
from reward_plugins import ota

_TEXTS = ("problem", "question", "prompt", "sentence")
_ANSWERS = ("answer", "solution", "timestamp")
_TRACES = ("output", "process")
_CLIPS = ("videos", "images", "video", "image", "path")
_KINDS: dict[str, Kind] = {place: kind for kind, place in PLACEHOLDERS.items()}
_HEADING = re.compile(r"\A\s*Question:", re.IGNORECASE)
_LEADING = re.compile(rf"\A(?:\s|{PLACE.pattern})+")
_SHOWN = 20

log = logging.getLogger(__name__)


class Reading(NamedTuple):
    """What is read of a row beside question and answer."""

    task: str = "problem_type"
    """Field of the task's name."""
    fields: tuple[str, ...] = ()
    """Fields that become facts."""
    without: Mapping[str, Sequence[str]] = MappingProxyType({})
    """Rows whose field has one of these values are left out."""
    where: Mapping[str, str] = MappingProxyType({})
    """Rows whose fields have these values have facts of their clip."""
    prefix: str = ""
    """Of such rows' tasks."""
    clips: Mapping[str, dict[str, JsonValue]] | None = None
    """Facts by clip; None: none are known."""


PLAIN = Reading()


def facts_by_clip(path: Path, key: str) -> dict[str, dict[str, JsonValue]]:
    """The rows of `path` by what they say under `key`; `AnnotationsError` for one that doesn't."""
    found: dict[str, dict[str, JsonValue]] = {}
    for where, row in read_rows(path):
        if not isinstance(row.get(key), str):
            raise AnnotationsError(f"{where} has no text under {key!r}, which names its clip")
        found[row[key]] = {name: value for name, value in row.items() if name != key}
    return found


def questions(
    path: Path, source: str, use: str, most: float, reading: Reading = PLAIN
) -> list[Sample]:
    """The rows of `path` as samples of `source`, in order; clips are as the rows name them.

    `use` is the name of the question set; that of `test` is held out. Rows that are no question
    are left out and told with file, row and field, and `AnnotationsError` lists them where they
    are more than a share of `most`.
    """
    rows, samples, refused = _wanted(path, reading), [], []
    behind: Counter[str] = Counter()
    for number, (where, row) in enumerate(rows, start=1):
        try:
            samples.append(_sample(row, source, use, number, behind, reading))
        except ValueError as error:
            refused.append(f"{where}: {said(error)}")
    if behind:
        text, count = behind.most_common(1)[0]
        log.info("%s: %d rows go on behind their options, left out: %.200r", path, count, text)
    if refused:
        told = "".join(f"\n  {line}" for line in refused[:_SHOWN])
        counts = f"{path}: {len(refused):,} of {len(rows):,} rows are no question that can be asked"
        if len(refused) > most * len(rows):
            raise AnnotationsError(f"{counts}; data.max_quarantined={most:g} allows fewer:{told}")
        log.warning("%s and are left out:%s", counts, told)
    return samples


def _wanted(path: Path, reading: Reading) -> list[tuple[str, Row]]:
    """The rows of `path` but those that the recipe leaves out, which are told."""
    rows = read_rows(path)
    kept = [
        (where, row)
        for where, row in rows
        if not any(row.get(name) in values for name, values in reading.without.items())
    ]
    if len(kept) < len(rows):
        unwanted = "; ".join(f"{name}: {', '.join(v)}" for name, v in reading.without.items())
        log.warning(
            "%s: %d of %d rows are left out (%s)", path, len(rows) - len(kept), len(rows), unwanted
        )
    if not kept:
        raise AnnotationsError(f"{path}: data.files leaves out all of its {len(rows):,} rows")
    return kept


def _sample(
    row: Row, source: str, use: str, number: int, behind: Counter[str], reading: Reading
) -> Sample:
    asked, reply = _turns(row)
    media = _media(row, PLACE.findall(asked))
    question, options, rest = split_question(_HEADING.sub("", _unplaced(asked, len(media))))
    if beside := _options(row):
        if options and options != beside:
            raise ValueError(f"options: {list(beside)}, but the text has {list(options)}")
        options = beside
    behind.update([rest] if rest else [])
    answer, trace = _answer(row, reply), _trace(row, reply)
    if not options and plain_answer(str(answer)).rstrip(".").capitalize() in YES_NO:
        options = YES_NO
    if options:
        answer = right_letter(str(answer), options)
    return Sample(
        id=f"{source}_{use}_{number}",
        dataset=f"{source}_{use}",
        split="test" if use == "test" else "train",
        task=_task(row, options, reading),
        category=str(row.get("category") or family(" ".join((question, *options)))),
        media=media,
        question=question,
        options=options,
        answer=plain_answer(answer) if isinstance(answer, str) else answer,
        observation=trace and trace.observation,
        think=trace and trace.think,
        facts=_facts(row, media, reading),
        provenance={"row": str(row.get("problem_id", number))},
    )


def _turns(row: Row) -> tuple[str, str | None]:
    """What the user asks, and what the assistant replies where the row has that."""
    turns = row.get("messages") or row.get("conversations")
    texts = [row[key] for key in _TEXTS if row.get(key)]
    if turns is None and texts and not isinstance(texts[0], str):
        turns = texts[0]  # verl's prompt is a list of turns
    if turns is None:
        if not texts:
            raise ValueError(f"row: has none of messages, conversations, {', '.join(_TEXTS)}")
        return texts[0], None
    said_by: dict[str, list[str]] = {"user": [], "assistant": []}
    for turn in turns:
        role = {"human": "user", "gpt": "assistant"}.get(_of(turn, "role"), _of(turn, "role"))
        if role != "system":
            said_by.setdefault(role, []).append(_of(turn, "content"))
    counts = {role: len(texts) for role, texts in said_by.items()}
    if counts["user"] != 1 or counts["assistant"] > 1 or len(counts) > 2:
        raise ValueError(f"messages: one question and at most one reply are read, found {counts}")
    return said_by["user"][0], next(iter(said_by["assistant"]), None)


def _of(turn: Any, key: Literal["role", "content"]) -> str:
    other = {"role": "from", "content": "value"}[key]
    text = turn.get(key, turn.get(other)) if isinstance(turn, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"messages: a turn has no {key} ({other}): {turn!r:.80}")
    return text


def _options(row: Row) -> tuple[str, ...]:
    value = row.get("options") or []
    texts = [f"{a}. {text}" for a, text in value.items()] if isinstance(value, dict) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"options: a list of texts is read, found {value!r:.80}")
    return without_letters(texts)


def _answer(row: Row, reply: str | None) -> JsonValue:
    model = row.get("reward_model")
    truth = model.get("ground_truth") if isinstance(model, dict) else None
    found = [reply, *(row.get(key) for key in _ANSWERS), truth]
    answer: JsonValue = next((value for value in found if value not in (None, "")), None)
    if answer is None:
        raise ValueError(f"answer: none in the reply, {', '.join(_ANSWERS)} or reward_model")
    return answer


def _trace(row: Row, reply: str | None) -> ota.Trace | None:
    """The reasoning that comes with an answer; a reply with a tag of it must hold it whole."""
    texts: list[Any] = [reply]
    for key in _TRACES:
        texts += row[key] if isinstance(row.get(key), list) else [row.get(key)]
    solution = row.get("solution")
    if isinstance(solution, str):
        texts += [solution, *(f"{text}{solution}" for text in texts if isinstance(text, str))]
    for text in filter(None, texts):
        for tags in (ota.TAGS, ota.TAGS[1:]):
            if trace := ota.parse(text, tags):
                return trace
    if reply and "<think>" in reply:
        raise ValueError(f"messages: the reply is not one {', '.join(ota.TAGS)}: {reply!r:.120}")
    return None


def _media(row: Row, places: list[str]) -> tuple[Item, ...]:
    """What the row shows, in the order of its placeholders, or else images before videos."""
    kinds: dict[Kind, list[Item]] = {"image": [], "video": []}
    for key in _CLIPS:
        for entry in _listed(row.get(key)):
            item = _item(key, entry, row)
            kinds[item.kind].append(item)
    order = [_KINDS[place] for place in places] or [k for k, items in kinds.items() for _ in items]
    if any(order.count(kind) != len(items) for kind, items in kinds.items()):
        found = " and ".join(f"{len(items)} {kind}s" for kind, items in kinds.items())
        raise ValueError(f"videos: the row has {found}, its text places {' '.join(places)}")
    if not order and row.get("data_type") in kinds:
        raise ValueError(f"videos: none, and data_type is {row['data_type']}")
    return tuple(kinds[kind].pop(0) for kind in order)


def _item(key: str, entry: Any, row: Row) -> Item:
    """One clip or picture, as a path or as qwen-vl-utils' mapping; without what leads outside."""
    own = entry if isinstance(entry, dict) else {**row, "video": entry}
    path = own.get("video") or own.get("image")
    if not isinstance(path, str) or not PurePosixPath(path).name:
        raise ValueError(f"{key}: {entry!r:.80} names no file")
    parts = PurePosixPath(path.removeprefix("file://")).parts
    inside = "/".join(part for part in parts if part not in ("/", ".."))
    if key.startswith("image") or (key == "path" and row.get("data_type") == "image"):
        return image(inside)
    return video(inside, own.get("video_start"), own.get("video_end"))


def _unplaced(text: str, count: int) -> str:
    """`text` without its placeholders, unless several items stand amid its words."""
    behind = _LEADING.sub("", text)
    return text if count > 1 and PLACE.search(behind) else PLACE.sub("", behind)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _task(row: Row, options: tuple[str, ...], reading: Reading) -> str:
    told = row.get(reading.task)
    if not told or (options and reading.task == PLAIN.task):
        binary = {option.casefold() for option in options} == {"no", "yes"}
        told = "binary" if binary else "multiple_choice" if options else told or "free_form"
    return (reading.prefix if _has_facts(row, reading) else "") + str(told).strip().replace(
        " ", "_"
    )


def _has_facts(row: Row, reading: Reading) -> bool:
    return reading.clips is not None and all(row.get(k) == v for k, v in reading.where.items())


def _facts(row: Row, media: tuple[Item, ...], reading: Reading) -> dict[str, JsonValue]:
    """The row's own facts, and those of its clip."""
    if absent := [name for name in reading.fields if row.get(name) is None]:
        raise ValueError(f"{', '.join(absent)}: none, and data.files says that they are facts")
    found: dict[str, JsonValue] = {name: row[name] for name in reading.fields}
    if _has_facts(row, reading):
        clip = PurePosixPath(media[0].path).stem if media else ""
        if clip not in (reading.clips or {}):
            raise ValueError(f"facts: none about the clip {clip!r}; add it, or leave the row out")
        found |= (reading.clips or {})[clip]
    return found
