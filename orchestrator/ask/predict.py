"""`predict`: one clip in the terminal, or a folder of them to Parquet."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich.console
from rich.markup import escape
from rich.progress import track

from data_builders.frame_cache import in_use
from orchestrator.ask import clips as clips_
from orchestrator.ask.checkpoints import Checkpoint, find
from orchestrator.ask.clips import ClipFrames
from orchestrator.ask.errors import AskError
from orchestrator.ask.policy import Ask
from orchestrator.ask.questions import Answer, Question, about, card, read
from orchestrator.ask.served import open_policy
from orchestrator.ask.show import show_clip
from orchestrator.console import Console
from orchestrator.plan.stage import ROOT
from orchestrator.run.launch import build_environment
from reward_plugins.files import replacement

if TYPE_CHECKING:
    from orchestrator.verbs.clips import PredictArguments

FOLDER_OUT = Path("predictions.parquet")


@dataclasses.dataclass(frozen=True)
class ClipAnswers:
    """A clip and what was answered about it."""

    clip: str
    model: str
    shown: ClipFrames | None
    problem: str | None
    """Why it could not be shown."""
    answers: tuple[Answer, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs; times are seconds after the clip's first frame, sizes are pixels."""
        frames = self.shown and {
            "times": self.shown.times,
            "fps": self.shown.meta.fps,
            "height": self.shown.meta.height,
            "width": self.shown.meta.width,
            "visual_tokens": self.shown.meta.visual_tokens,
        }
        answers = [dataclasses.asdict(answer) for answer in self.answers]
        head = {"clip": self.clip, "model": self.model, "problem": self.problem}
        return {**head, "frames": frames, "answers": answers}


def predict(own: PredictArguments, console: Console) -> None:
    """Answer as the command line says; raises `AskError` for what a user can mend."""
    checkpoint = find(own.model, own.recipe, own.runs_dir)
    if own.question is None and own.options:
        raise AskError("options= without a question: say what is asked")
    questions = (
        card(checkpoint.recipe.motions)
        if own.question is None
        else [about(own.question, own.options)]
    )
    if checkpoint.origin and not own.as_json:
        console.say(f"[dim]prompt and frames {escape(checkpoint.origin)}[/]")
    if checkpoint.environment is not None:
        build_environment(checkpoint.environment, console)
    whole_folder = Path(own.clip).is_dir()
    frames = in_use(ROOT / checkpoint.recipe.data.cache_dir)
    with frames, clips_.open_clips(own.clip) as (root, names):
        rows = list(ask(checkpoint, own.engine, root, names, questions))
    if not whole_folder and (problem := rows[0].problem):
        raise AskError(f"{own.clip}: {problem}")
    out = own.out or (FOLDER_OUT if whole_folder and not own.as_json else None)
    if out is not None:
        write(out, rows)
    _tell(rows, own.as_json, out, console)


def ask(
    checkpoint: Checkpoint,
    engine: str,
    root: Path,
    names: Sequence[str],
    questions: Sequence[Question],
) -> Iterator[ClipAnswers]:
    """Every clip with its answers, in order; one that can't be read, with the reason."""
    status = rich.console.Console(stderr=True)
    with status.status(f"reading {len(names)} clip(s)"):
        shown, refused = clips_.sample(root, names, checkpoint.recipe)
    recipe, found = checkpoint.recipe, dict[tuple[str, int], Answer]()
    wanted = [(clip, n) for clip in names if clip in shown for n in range(len(questions))]
    if wanted:
        size = recipe.eval.batch_size
        batches = [wanted[at : at + size] for at in range(0, len(wanted), size)]
        with status.status(f"loading {checkpoint.name}"), open_policy(checkpoint, engine) as policy:
            for batch in track(batches, "asking", console=status, disable=len(batches) == 1):
                turns = [Ask(questions[n].turn(recipe.prompt), shown[clip]) for clip, n in batch]
                for (clip, n), outcome in zip(batch, policy.answer(turns), strict=True):
                    found[clip, n] = read(questions[n], outcome, recipe.prompt.tags)
    for clip in names:
        answers = tuple(found[clip, n] for n in range(len(questions)) if (clip, n) in found)
        yield ClipAnswers(clip, checkpoint.name, shown.get(clip), refused.get(clip), answers)


def write(path: Path, rows: Sequence[ClipAnswers]) -> None:
    """One Parquet row an answer, and one for each clip that has none; atomically."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    flat = [row for asked in rows for row in _flat(asked)]
    text = pa.string()
    columns = {field.name: text for field in dataclasses.fields(Answer)}
    columns |= {"clip": text, "model": text, "times": pa.list_(pa.float64())}
    columns |= {"options": pa.list_(text), "tokens": pa.int64(), "well_formed": pa.bool_()}
    with replacement(path) as partial:
        pq.write_table(pa.Table.from_pylist(flat, schema=pa.schema(columns)), partial)


def _flat(asked: ClipAnswers) -> Iterator[dict[str, Any]]:
    head = {"clip": asked.clip, "model": asked.model}
    times = asked.shown and list(asked.shown.times)
    if asked.problem is not None:
        yield {**head, "problem": asked.problem}
    for answer in asked.answers:
        yield {**head, "times": times, **dataclasses.asdict(answer)}


def _tell(rows: Sequence[ClipAnswers], as_json: bool, out: Path | None, console: Console) -> None:
    if as_json:
        console.text("\n".join(json.dumps(row.to_json(), ensure_ascii=False) for row in rows))
    elif len(rows) == 1 and out is None:
        for part in show_clip(rows[0]):
            console.out.print(part)
    else:
        lost = sum(row.problem is not None for row in rows)
        left_out = f", {lost} could not be read (column `problem` says why)" if lost else ""
        console.say(f"{len(rows)} clips{left_out}; the answers are in [bold]{out}[/]")
