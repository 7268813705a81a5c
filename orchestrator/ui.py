"""What a user sees while stages run: one line a stage, its log, and a bar with the time left."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.console
from rich.markup import escape

from orchestrator.plan import Plan
from orchestrator.stage import Command, Stage
from orchestrator.stage import Progress as ProgressSpec

if TYPE_CHECKING:
    from rich.progress import Progress

SECONDS_BETWEEN_PLAIN_LINES = 10.0
LONGEST_LINE = 200
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class Console:
    """Live bars in a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.out = rich.console.Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line of text with rich markup."""
        self.out.print(text)

    def text(self, text: str, indent: int = 0) -> None:
        """Text as it is, without markup."""
        pad = " " * indent
        self.out.print("\n".join(pad + line for line in text.splitlines()), markup=False)

    def error(self, text: str) -> None:
        """What went wrong, on standard error."""
        rich.console.Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"error: {text}", style="red", markup=False
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

    def scores(self, scores: dict[str, Any]) -> None:
        """The headline table of an evaluation."""
        from orchestrator.report.table import summary_table  # not needed to plan

        self.out.print(summary_table(scores))

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

    def following(self, stage: Stage, command: Command) -> Generator[None, list[str], None]:
        """Show the lines that are sent, and the progress that the command writes to its file."""
        rows = ProgressRows(command.progress) if command.progress else None
        with self._bar() as bar:
            task = bar.add_task(stage.name, total=None, metric="", visible=self.out.is_terminal)
            said = 0.0
            while True:
                for line in (yield):
                    self._log_line(stage, line)
                if rows is None or (row := rows.latest()) is None:
                    continue
                done, total, metric = row
                bar.update(task, completed=done, total=total, metric=metric)
                if (
                    not self.out.is_terminal
                    and time.monotonic() - said > SECONDS_BETWEEN_PLAIN_LINES
                ):
                    said = time.monotonic()
                    left = bar.tasks[task].time_remaining
                    self.say(
                        f"{stage.name}: {done} of {total or '?'} {metric}"
                        + (f", {clock(left)} left" if left is not None else "")
                    )

    def _bar(self) -> Progress:
        from rich import progress  # not needed to plan

        return progress.Progress(
            progress.TextColumn("[bold]{task.description}"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:.0f}/{task.total}"),
            progress.TextColumn("{task.fields[metric]}"),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=self.out,
            transient=True,
            speed_estimate_period=120,
        )

    def _log_line(self, stage: Stage, line: str) -> None:
        line = ANSI.sub("", line)
        if line.strip():
            text = line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"
            self.out.print(f"  {stage.name} │ {text}", style="dim", markup=False)


class ProgressRows:
    """Follows a file that grows by one JSON object a line."""

    def __init__(self, spec: ProgressSpec) -> None:
        self._spec = spec
        self._path = Path(spec.path)
        self._read = self._path.stat().st_size if self._path.exists() else 0

    def latest(self) -> tuple[float, float | None, str] | None:
        """Steps done, steps in all and the metric of the newest whole row, if there is one."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            file.seek(self._read)
            *whole, rest = file.read().split(b"\n")
            self._read = file.tell() - len(rest)
        if not whole:
            return None
        row = json.loads(whole[-1])
        spec = self._spec
        total = _dig(row, spec.total) if isinstance(spec.total, str) else spec.total
        value = _dig(row, spec.metric) if spec.metric else row.get("what")
        label = spec.metric.rpartition(".")[2]
        metric = f"{label} {value:.3f}" if isinstance(value, float) else str(value or "")
        return float(_dig(row, spec.step) or 0), total, metric


def _dig(row: dict[str, Any], dotted: str) -> Any:
    """`row["data"]["critic/rewards/mean"]` for `data.critic/rewards/mean`."""
    head, _, rest = dotted.partition(".")
    value = row.get(head)
    return _dig(value, rest) if rest and isinstance(value, dict) else value


def clock(seconds: float) -> str:
    """`75` as `1 min 15 s`."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"
