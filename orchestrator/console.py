"""What a user sees while stages run: which stage, where its log is, and how far it is."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import rich.console
from rich.errors import MarkupError
from rich.markup import escape

from orchestrator.plan.make import Plan
from orchestrator.plan.stage import Command, Stage
from orchestrator.run.progress import Follower, clock
from orchestrator.secrets import redact

SECONDS_BETWEEN_PLAIN_LINES = 10.0
NO_TAG = re.compile(r"(?<!\\)\[(?!/?\]|(?:bold|dim|red|green|yellow)(?: \w+)?\])")
"""A bracket that begins none of our tags, but may stand in a name."""


CONTROLS = {c: f"\\x{c:02x}" for c in (*range(32), *range(127, 160)) if chr(c) not in "\n\t"}


def visible(text: str) -> str:
    """`text` with what would steer a terminal spelt out: a model and a log may say anything."""
    return text.translate(CONTROLS)


class Console:
    """A live view in a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.out = rich.console.Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line of text with rich markup."""
        text = NO_TAG.sub(r"\\[", visible(redact(text)))
        try:
            self.out.print(text)
        except MarkupError:  # a name with a closing tag of ours
            self.out.print(text, markup=False)

    def text(self, text: str, indent: int = 0) -> None:
        """Text as it is, without markup."""
        pad, lines = " " * indent, visible(redact(text)).splitlines()
        self.out.print("\n".join(pad + line for line in lines), markup=False)

    def error(self, text: str) -> None:
        """What went wrong, on standard error."""
        rich.console.Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"error: {visible(redact(text))}", style="red", markup=False
        )

    def announce(self, plan: Plan, stages: Sequence[Stage]) -> None:
        """What is about to happen, and how long the whole recipe was measured to take."""
        recipe = plan.recipe
        names = " → ".join(stage.name for stage in stages)
        self.say(f"[bold]{escape(recipe.name)}[/]: {names}  [dim]in {plan.directory}[/]")
        self.say(f"[dim]The whole recipe takes {recipe.expected}.[/]")

    def result(self, plan: Plan, name: str) -> None:
        """Where the result is."""
        self.say(f"[bold]{name}[/] is in {plan.directory / name}")

    def started(self, stage: Stage, log: Path) -> None:
        """A stage begins."""
        self.say(f"[bold cyan]▶ {stage.name}[/]  [dim]log: {escape(str(log))}[/]")

    def finished(self, stage: Stage, seconds: float) -> None:
        """A stage ended well."""
        self.say(f"[bold green]✔ {stage.name}[/]  {clock(seconds)}")

    def reused(self, stage: Stage) -> None:
        """A stage was done before."""
        self.say(f"[green]✔ {stage.name}[/]  [dim]reused, fingerprint {stage.fingerprint}[/]")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Something without steps, such as an installation."""
        started = time.monotonic()
        self.say(f"[bold cyan]▶ {escape(what)}[/]")
        with self.out.status(escape(what)):
            yield
        self.say(f"[bold green]✔[/] {escape(what)}  {clock(time.monotonic() - started)}")

    @contextmanager
    def watching(self, rows: Mapping[str, Sequence[Stage]]) -> Iterator[None]:
        """In a terminal: a live view with a row for each label, of the first of its stages that
        is not done. Elsewhere `telling` says how far a stage is.
        """
        if not self.out.is_terminal:
            yield
            return
        from rich.live import Live  # not needed to plan

        from orchestrator.run.live import View

        with Live(View(rows), console=self.out, refresh_per_second=1, transient=True):
            yield

    def telling(self, stage: Stage, command: Command) -> Callable[[], None]:
        """To be called now and then: a line about how far `command` is, where there is no view."""
        if command.progress is None or self.out.is_terminal:
            return lambda: None
        follower, said = Follower(command.progress), -SECONDS_BETWEEN_PLAIN_LINES

        def tell() -> None:
            nonlocal said
            now = time.monotonic()
            if follower.look(now) and now - said > SECONDS_BETWEEN_PLAIN_LINES:
                said = now
                self.say(escape(f"{stage.name}: {follower.position}"))

        return tell
