"""While a rehearsal runs: what memory it takes, and one end of each trainer by force.

A trainer is killed once it has saved a checkpoint, so that it has to go on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import TYPE_CHECKING

from orchestrator.plan.stage import Stage

if TYPE_CHECKING:
    import psutil

SECONDS = 1.0
"""Between two looks."""


class Watch(AbstractContextManager["Watch"]):
    """Looks at all processes of the stages, in a thread of its own."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.peak: dict[str, int] = {}
        """Most bytes of memory of all of them together while a stage ran, shared pages counted
        once."""
        self._stages = stages
        self._waiting = [s for s in stages if s.layout is not None and not has_saved(s)]
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(SECONDS):
            for stage in self._stages:
                # By its supervisor: a report is also made now and then while others train.
                if commands := list(_commands(str(stage.directory / "logs"))):
                    self.peak[stage.name] = max(self.peak.get(stage.name, 0), _memory(commands))
            for stage in [*self._waiting]:
                if has_saved(stage):
                    self._waiting.remove(stage)
                    _kill(stage)


def has_saved(stage: Stage) -> bool:
    """Whether a stage has a whole checkpoint, by the file that its trainer writes last."""
    layout, folder = stage.layout, stage.directory / "checkpoints"
    if layout is None:
        return False
    if layout.tracker is not None:
        return (folder / layout.tracker).is_file()
    return any(folder.glob(f"{layout.prefix}*/{layout.last_file}"))


def _commands(directory: str) -> Iterator[psutil.Process]:
    """The commands that run in a stage's directory: a supervisor has them, not this process."""
    import psutil  # not needed to plan

    for process in psutil.process_iter(["cmdline"]):
        if any(word.startswith(directory) for word in process.info["cmdline"] or ()):
            yield process


def _memory(commands: Sequence[psutil.Process]) -> int:
    """Of the commands' trees and of this process's, where Ray and its workers are."""
    import psutil

    trees = {process.pid: process for process in (*commands, psutil.Process())}
    for root in [*trees.values()]:
        with suppress(psutil.Error):
            trees |= {child.pid: child for child in root.children(recursive=True)}
    total = 0
    for process in trees.values():
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def _kill(stage: Stage) -> None:
    """End the command that trains, as the kernel would, unless it has ended."""
    import psutil

    words = list(stage.training.argv) if stage.training else []
    for process in _commands(str(stage.directory)):
        with suppress(psutil.Error):
            if words and process.cmdline()[1:] == words:
                process.kill()
