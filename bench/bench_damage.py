"""Flip one byte in random files of a finished run, and count what `status deep=true` notices.

`python -m bench.bench_damage [files] [folder]`: in each file one bit of one byte, under its old
date, one file at a time. `folder` holds a run that `bench.bench_kills` left there; without it, a
short one is made first. Of checkpoints that training could resume, those are counted that it would
refuse by then.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from bench.bench_kills import command, start
from bench.figures import figure, say
from orchestrator.plan.stage import ROOT
from orchestrator.run.checkpoints import is_whole


def main(files: str = "50", folder: str | None = None) -> None:
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as parent:
        runs = Path(str(parent)) / "runs"
        if start(runs).wait() != 0:
            raise SystemExit(f"the run failed: {runs}.log")
        if not status(runs, ""):
            raise SystemExit("status deep=true finds fault with a run that nobody touched")
        choose = random.Random(0)
        chosen = choose.sample(written(runs), int(files))
        seen = [path for path in chosen if noticed(runs, path, choose)]
        for path in sorted({*chosen} - {*seen}):
            say(f"  not noticed: {path.relative_to(runs)}")
        figure(f"damage: of {files} files with one byte flipped, noticed", len(seen), "files")
        shards = [path for path in written(runs) if path.suffix == ".pt"]
        refused = [not whole_with_a_flip(choose.choice(shards), choose) for _ in range(100)]
        figure("damage: of 100 flips in shards (dates, padding too), refused", sum(refused), "")
        if len(seen) < len(chosen):
            raise SystemExit(1)


def written(runs: Path) -> list[Path]:
    """Every file of the run that has a byte to flip, but for locks. Decoded frames are none of its
    own: who reads them checks their sums, and decodes anew.
    """
    places = (runs / ".stages", runs / "tiny")
    files = [path for place in places for path in sorted(place.rglob("*")) if path.is_file()]
    return [p for p in files if p.stat().st_size and not p.name.startswith(".")]


def noticed(runs: Path, path: Path, choose: random.Random) -> bool:
    """Whether the verb names the file while a byte of it is another."""
    with flipped(path, choose):
        return status(runs, "recipe.json" if path.name == "recipe.sha256" else path.name)


def whole_with_a_flip(path: Path, choose: random.Random) -> bool:
    with flipped(path, choose):
        return is_whole(path)


@contextmanager
def flipped(path: Path, choose: random.Random) -> Iterator[None]:
    """While the block runs, one bit of the file is another; its dates stay."""
    dates, place = path.stat(), choose.randrange(path.stat().st_size)
    with path.open("rb") as file:
        file.seek(place)
        byte = file.read(1)[0]
    try:
        _put(path, place, byte ^ 1 << choose.randrange(8), dates)
        yield
    finally:
        _put(path, place, byte, dates)


def _put(path: Path, place: int, byte: int, dates: os.stat_result) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes([byte]))
    os.utime(path, ns=(dates.st_atime_ns, dates.st_mtime_ns))


def status(runs: Path, name: str) -> bool:
    """Whether `status deep=true` fails and names the file; without a `name`, that it succeeds."""
    told = subprocess.run(
        command(runs, "status", "deep=true"), cwd=ROOT, capture_output=True, text=True
    )
    return told.returncode == 1 and name in told.stdout if name else told.returncode == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
