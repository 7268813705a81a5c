"""The table of a rehearsal, where it is kept and as it is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from orchestrator.console import Console
from orchestrator.doctor.rehearsal import TABLE
from orchestrator.rehearse.changes import Change
from orchestrator.verbs.plan import table
from reward_plugins.files import write_file

HEAD = ("", "what must hold", "bound", "figure")


class Invariant(NamedTuple):
    """Something that must hold."""

    name: str
    bound: str
    figure: str
    right: bool


@dataclass(frozen=True)
class Report:
    """What a rehearsal changed, what it found, and what it does not cover."""

    recipe: str
    changes: Sequence[Change]
    invariants: Sequence[Invariant]
    not_covered: Sequence[str]

    def write(self, folder: Path) -> None:
        """`rehearsal.json` and `rehearsal.md` in the run's folder."""
        facts = {
            "recipe": self.recipe,
            "changes": [change._asdict() for change in self.changes],
            "invariants": [row._asdict() for row in self.invariants],
            "not_covered": list(self.not_covered),
        }
        write_file(folder / TABLE, json.dumps(facts, indent=2) + "\n")
        write_file(folder / "rehearsal.md", "\n".join(self._lines()) + "\n")

    def show(self, console: Console) -> None:
        """Print the invariants, and what is not covered."""
        console.say(f"\n[bold cyan]what must hold of {self.recipe}[/]")
        table([HEAD, *self._rows()], console)
        console.say("\n[bold cyan]not covered[/]")
        for text in self.not_covered:
            console.text(text, indent=2)

    def _rows(self) -> list[tuple[str, ...]]:
        return [("✔" if r.right else "✘", r.name, r.bound, r.figure) for r in self.invariants]

    def _lines(self) -> Iterator[str]:
        yield from (f"# Rehearsal of {self.recipe}", "")
        yield from _markdown([HEAD, *self._rows()])
        yield from ("", "Not covered:", "", *(f"- {text}" for text in self.not_covered), "")
        yield from _markdown([("key", "recipe", "rehearsal", "why"), *self.changes])


def _markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    head, *rest = ("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in rows)
    yield from (head, "|" + "---|" * len(rows[0]), *rest)
