"""While a rehearsal runs: what memory it takes, and one end of each trainer by force.

A trainer is killed once it has saved a checkpoint, so that it has to go on from there.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import TracebackType

from orchestrator.plan.stage import Stage

SECONDS = 1.0
"""Between two looks."""


class Watch(AbstractContextManager["Watch"]):
    """Looks at this process and its children, in a thread of its own."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self.peak = 0
        """Bytes of memory of all of them together, shared pages counted once."""
        self.killed: dict[str, str] = {}
        """By stage, the checkpoint behind which its trainer was killed."""
        self._waiting = [stage for stage in stages if stage.layout is not None]
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
            self._measure()
            for stage in [*self._waiting]:
                if checkpoint := saved(stage):
                    self._waiting.remove(stage)
                    if _kill(stage):
                        self.killed[stage.name] = checkpoint

    def _measure(self) -> None:
        import psutil  # not needed to plan

        total = 0
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        self.peak = max(self.peak, total)


def saved(stage: Stage) -> str | None:
    """The first whole checkpoint of a stage, by the file that its trainer writes last."""
    layout, folder = stage.layout, stage.directory / "checkpoints"
    if layout is None:
        return None
    if layout.tracker is not None:
        whole = (folder / layout.tracker).is_file()
        found = sorted(folder.glob(f"{layout.prefix}*")) if whole else []
    else:
        found = [path.parent for path in folder.glob(f"{layout.prefix}*/{layout.last_file}")]
    return next((path.name for path in found), None)


def _kill(stage: Stage) -> bool:
    """End the command that trains, as the kernel would; False where it has ended."""
    import psutil

    training = stage.training
    if training is None:
        return False
    words = [str(Path(word)) for word in training.argv]
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if process.cmdline()[1:] == words:
                process.kill()
                return True
    return False
