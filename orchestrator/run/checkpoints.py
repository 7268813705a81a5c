"""Which checkpoint a stage goes on from: torn ones are removed before the trainer sees them.

Both trainers write a checkpoint in place and one file last, so a killed one leaves part of a
checkpoint behind. LLaMA-Factory resumes from the highest number, whole or not; verl and EasyR1 from
what a tracker file names, which a crash can leave empty, or naming what has gone.
"""

from __future__ import annotations

import errno
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from rich.markup import escape

from orchestrator.console import Console
from orchestrator.plan.stage import Layout, Progress, Stage
from orchestrator.run.progress import ProgressRows
from reward_plugins.files import remove, write_file

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError),
    *(NotImplementedError, RuntimeError),
)
"""What `zipfile` raises over damage, by where it is."""


def newest(stage: Stage, console: Console) -> Path | None:
    """The newest whole checkpoint of `stage`, which its trainer will go on from.

    Removes the torn ones that are newer, says so, and has the tracker name the whole one.
    """
    layout = stage.layout
    directory = stage.directory / "checkpoints"
    if layout is None or not directory.is_dir():
        return None
    copies = directory.glob(f"{layout.prefix}*")  # the user may have kept one under another name
    found = (path for path in copies if path.name.removeprefix(layout.prefix).isdigit())
    whole = None
    for path in sorted(found, key=_step, reverse=True):
        why = next(damage(path, layout), None)
        if why is None:
            whole = path
            break
        console.say(
            f"[yellow]{stage.name}: removing the torn checkpoint {path.name}: {escape(why)}[/]"
        )
        remove(path)
    if layout.tracker is not None:
        _track(directory / layout.tracker, whole)
    return whole


def is_last(checkpoint: Path, progress: Progress) -> bool:
    """Whether `checkpoint` is of the last update planned: going on, a trainer would make another.

    Told by the Hugging Face trainer's own state (transformers 5.6.0, trainer.py:1715: it looks at
    `max_steps` behind an update only), else by the plan, or by what the
    trainer's progress shows.
    """
    state = checkpoint / "trainer_state.json"
    if state.is_file():
        total = json.loads(state.read_text()).get("max_steps")
    elif isinstance(total := progress.total, str):
        _, total, _ = ProgressRows(progress).last() or (0.0, None, "")
    return bool(total) and _step(checkpoint) >= total


def damage(checkpoint: Path, layout: Layout) -> Iterator[str]:
    """What shows that `checkpoint` was not written to its end."""
    if not (checkpoint / layout.last_file).is_file():
        yield f"no {layout.last_file}"
    if not any(checkpoint.glob(layout.weights)):
        yield f"no {layout.weights}"
    ranks = len(list(checkpoint.glob("rng_state_*.pth")))
    if 0 < ranks < layout.ranks:  # each rank writes its own, and rank 0 waits for none of them
        yield f"rng_state of {ranks} of {layout.ranks} ranks"
    for path in sorted(p for p in checkpoint.rglob("*") if p.is_file()):
        if not is_whole(path):
            yield f"{path.relative_to(checkpoint)} is cut short or damaged"


def is_whole(path: Path) -> bool:
    """Whether a file reaches to the end that its own format states, and has its check sums."""
    if path.suffix in (".pt", ".pth", ".bin"):
        return _is_zip(path)
    if path.suffix == ".json":
        return _is_json(path)
    return path.suffix != ".safetensors" or _is_safetensors(path)


def _is_zip(path: Path) -> bool:
    """What `torch.save` writes has a sum of every tensor, and its directory at the end."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except ZIP_ERRORS:
        return False
    except OSError as error:
        if error.errno != errno.EINVAL:  # an offset before the file's beginning
            raise
        return False


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _is_safetensors(path: Path) -> bool:
    """Eight bytes with the header's length, the header, and as many bytes as it states."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > path.stat().st_size:
            return False
        try:
            header = json.loads(file.read(length))
            ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
            return path.stat().st_size == 8 + length + max(ends, default=0)
        except (ValueError, TypeError, LookupError, AttributeError):
            return False


def _track(tracker: Path, whole: Path | None) -> None:
    """Have the tracker name `whole`; it stays as it is where it does."""
    if whole is None:
        tracker.unlink(missing_ok=True)
    elif tracker.suffix == ".json":
        known = json.loads(tracker.read_bytes()) if tracker.is_file() and _is_json(tracker) else {}
        known = known if isinstance(known, dict) else {}
        if known.get("last_global_step") != _step(whole):
            named = {"last_global_step": _step(whole), "last_actor_path": str(whole / "actor")}
            write_file(tracker, json.dumps({**known, **named}, indent=2))
    elif not tracker.is_file() or tracker.read_bytes().strip() != b"%d" % _step(whole):
        write_file(tracker, str(_step(whole)))


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("_")[2].rpartition("-")[2])
