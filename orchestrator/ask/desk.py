"""What the page asks for: clips become frames, questions become answers of each checkpoint."""

from __future__ import annotations

import dataclasses
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from data_builders.frames import load_entry
from data_builders.synthetic.questions import CHOICE, WORDINGS
from data_builders.synthetic.questions import name as motion_name
from orchestrator.ask import clips as clips_
from orchestrator.ask.checkpoints import Checkpoint
from orchestrator.ask.clips import ClipFrames
from orchestrator.ask.errors import AskError, PolicyError
from orchestrator.ask.gallery import Exhibit
from orchestrator.ask.page import picture
from orchestrator.ask.policy import Ask, Policy
from orchestrator.ask.questions import Question, about, card, read
from orchestrator.ask.served import ServedPolicy, open_policy
from reward_plugins.files import remove

MOST_LETTERS = 4_000
"""Of a question with its options."""


class Desk:
    """Loads a checkpoint when it is first asked, and keeps it; safe between threads."""

    def __init__(
        self,
        checkpoints: Mapping[str, Checkpoint],
        engine: str,
        folder: Path,
        gallery: Sequence[Exhibit] = (),
        root: Path | None = None,
        load: Callable[[Checkpoint, str], Policy | ServedPolicy] = open_policy,
    ) -> None:
        self.checkpoints, self.gallery, self.folder = checkpoints, gallery, folder
        self.recipe = next(iter(checkpoints.values())).recipe
        self._engine, self._root, self._load = engine, root or folder, load
        self._shown: dict[str, ClipFrames] = {}
        self._policies: dict[str, Policy | ServedPolicy] = {}
        self._locks = {name: threading.Lock() for name in checkpoints}
        self._open = ExitStack()

    def close(self) -> None:
        """End the checkpoints' processes."""
        self._open.close()

    def state(self) -> dict[str, Any]:
        """What the page shows before anything is asked."""
        shown = self._take(self._root, [exhibit.clip for exhibit in self.gallery])
        return {
            "recipe": self.recipe.name,
            "checkpoints": list(self.checkpoints),
            "motions": {
                motion: {"name": motion_name(motion), "question": WORDINGS[motion].question}
                for motion in self.recipe.motions
            },
            "choice": CHOICE,
            "gallery": [
                {
                    "clip": exhibit.clip,
                    "motion": exhibit.motion,
                    "frames": _pictures(shown[exhibit.clip]),
                }
                for exhibit in self.gallery
            ],
        }

    def show(self, root: Path, clip: str) -> dict[str, Any]:
        """The frames of a clip as the checkpoints see them; raises `AskError` for no video."""
        shown = self._take(root, [clip])[clip]
        meta = shown.meta
        return {
            "clip": clip,
            "frames": _pictures(shown),
            "times": shown.times,
            "fps": meta.fps,
            "about": f"{len(shown.times)} frames of {meta.width}x{meta.height}, "
            f"{meta.fps:.2f} a second, {meta.visual_tokens} visual tokens",
        }

    def show_known(self, clip: str) -> dict[str, Any]:
        """The frames of an exhibit, or of an address on the network."""
        if clip in {exhibit.clip for exhibit in self.gallery}:
            return self.show(self._root, clip)
        if not clip.startswith(("http://", "https://")):
            raise AskError(f"{clip!r} is no http(s) address")
        with self.new_folder() as folder:
            return self.show(self.folder, f"{folder.name}/{clips_.download(clip, folder)}")

    @contextmanager
    def new_folder(self) -> Iterator[Path]:
        """For one clip, whose name another may have too; it goes where the clip is refused."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with ExitStack() as refused:
            refused.callback(remove, folder)
            yield folder
            refused.pop_all()

    def answer(
        self, checkpoint: str, clip: str, question: str, options: Sequence[str]
    ) -> dict[str, Any]:
        """What one checkpoint says of a clip that was shown; no question is a motion card."""
        if checkpoint not in self.checkpoints or clip not in self._shown:
            raise AskError("reload the page: this checkpoint or clip is not known")
        if len(question) + sum(map(len, options)) > MOST_LETTERS:
            raise AskError(f"a question of more than {MOST_LETTERS:,} letters: shorten it")
        asked = [about(question, options)] if question.strip() else card(self.recipe.motions)
        policy, started = self._policy(checkpoint), time.monotonic()
        try:
            outcomes = policy.answer([self._turn(q, clip) for q in asked])
        except PolicyError:
            self._policies.pop(checkpoint, None)  # the next question starts another process
            policy.close()
            raise
        answers = [
            dataclasses.asdict(read(q, outcome, self.recipe.prompt.tags))
            for q, outcome in zip(asked, outcomes, strict=True)
        ]
        return {"answers": answers, "seconds": time.monotonic() - started}

    def _turn(self, question: Question, clip: str) -> Ask:
        return Ask(question.turn(self.recipe.prompt), self._shown[clip])

    def _take(self, root: Path, clips: Sequence[str]) -> dict[str, ClipFrames]:
        missing = [clip for clip in clips if clip not in self._shown]
        shown, refused = clips_.sample(root, missing, self.recipe) if missing else ({}, {})
        for clip, reason in refused.items():
            raise AskError(f"{clip}: {reason}")
        self._shown |= shown
        return {clip: self._shown[clip] for clip in clips}

    def _policy(self, name: str) -> Policy | ServedPolicy:
        with self._locks[name]:
            if name not in self._policies:
                policy = self._load(self.checkpoints[name], self._engine)
                self._open.enter_context(policy)
                self._policies[name] = policy
            return self._policies[name]


def _pictures(shown: ClipFrames) -> list[str]:
    frames, _ = load_entry(shown.entry)
    return [picture(frame) for frame in frames]
