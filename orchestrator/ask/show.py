"""Answers for a terminal: the clip's frames, then a trace, or a motion card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from data_builders.sample import LETTERS
from orchestrator.ask.clips import ClipFrames
from orchestrator.ask.questions import Answer
from orchestrator.console import visible

if TYPE_CHECKING:
    from orchestrator.ask.predict import ClipAnswers

MARKS = {"Yes": ("✔", "bold green"), "No": ("·", "dim")}
UNSAID = ("?", "yellow")
"""Of a response that names no option."""


def show_clip(asked: ClipAnswers) -> Iterator[RenderableType]:
    """Everything about one clip; a single question is shown with its whole trace."""
    asked = _plain(asked)
    yield _head(asked)
    if len(asked.answers) == 1:
        yield _trace(asked.answers[0])
    else:
        yield _card(asked.answers)


def _plain(asked: ClipAnswers) -> ClipAnswers:
    """`asked` with what would steer a terminal spelt out: a model may say anything."""
    answers = tuple(
        replace(a, **_texts(a), options=tuple(map(visible, a.options))) for a in asked.answers
    )
    return replace(asked, **_texts(asked), answers=answers)


def _texts(record: ClipAnswers | Answer) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: visible(value) for name, value in values.items() if isinstance(value, str)}


def _head(asked: ClipAnswers) -> RenderableType:
    text = Text.assemble((asked.clip, "bold"), ("  asked of ", "dim"), asked.model)
    return text.append("\n").append(_frames(asked.shown)) if asked.shown else text


def _frames(shown: ClipFrames) -> Text:
    meta = shown.meta
    size = (
        f"{len(shown.times)} frames of {meta.width}x{meta.height} at {meta.fps:.2f} a second, "
        f"{meta.visual_tokens} visual tokens\n"
    )
    return Text.assemble((size, "dim"), ("seconds  ", "dim"), times(shown))


def times(shown: ClipFrames) -> str:
    """`0.00  0.50  1.00`."""
    return "  ".join(f"{time:.2f}" for time in shown.times)


def _trace(answer: Answer) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    if answer.problem is not None:
        grid.add_row("failed", Text(answer.problem, style="red"))
    elif not answer.well_formed:
        grid.add_row("response", Text(answer.response or ""))
        grid.add_row("", Text("not in the recipe's format", style="yellow"))
    for name, words in (("observation", answer.observation), ("thinking", answer.think)):
        if words is not None:
            grid.add_row(name, Text(words))
    grid.add_row("answer", _chosen(answer))
    title = Text.assemble((answer.question, "bold"))
    listed = [f"{a}. {text}" for a, text in zip(LETTERS, answer.options, strict=False)]
    return Panel(
        grid,
        title=title,
        title_align="left",
        subtitle=Text("   ".join(listed), style="dim"),
        subtitle_align="left",
        padding=(1, 2),
        box=box.ROUNDED,
    )


def _chosen(answer: Answer) -> Text:
    if answer.letter is None:
        return Text(f"names no option ({answer.answer or 'nothing'})", style="yellow")
    return Text(f"{answer.letter}. {answer.answer}", style="bold green")


def _card(answers: tuple[Answer, ...]) -> RenderableType:
    table = Table(
        box=box.SIMPLE_HEAD, title="motion card", title_style="bold", title_justify="left"
    )
    table.add_column("")
    table.add_column("motion")
    table.add_column("observation")
    for answer in answers:
        mark, style = MARKS.get(answer.answer or "", UNSAID)
        name = (answer.motion or "").replace("_", " ")
        said = answer.problem or answer.observation or answer.response or ""
        table.add_row(Text(mark, style), Text(name, style), Text(said, style="dim"))
    return table
