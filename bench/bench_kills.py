"""Kill one short run at random moments, and compare it with an unbroken one.

`python -m bench.bench_kills [kills] [verb] [longest] [folder]`: `kills` times (20), after up to
`longest` seconds (180), the orchestrator, the trainer, both or Ray get SIGKILL, and the same
command is given again; then `make <verb>` (run) must have left the same files. With `folder` the
runs stay there.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil

from bench.figures import say
from orchestrator.attempts import read_attempts
from orchestrator.outputs import read_listing
from orchestrator.stage import ROOT
from tests.integration.test_pipeline import SHORT

STAGES = ("data", "model", "sft", "rl", "merge", "eval", "report")
TARGETS = ("orchestrator", "trainer", "both", "ray")
RAY = ("gcs_server", "raylet")


def main(
    kills: str = "20", verb: str = "run", longest: str = "180", folder: str | None = None
) -> None:
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as parent:
        whole, broken = Path(str(parent)) / "whole", Path(str(parent)) / "broken"
        seconds = time.monotonic()
        if start(whole, verb).wait() != 0:
            raise SystemExit(f"the unbroken run failed: {whole}.log")
        say(f"unbroken: {time.monotonic() - seconds:.0f} s")
        seconds = time.monotonic()
        killed = break_run(broken, verb, int(kills), float(longest))
        say(f"killed {killed} times: {time.monotonic() - seconds:.0f} s")
        for name in STAGES:
            if (whole / "tiny" / name).is_dir():
                compare(name, whole / "tiny" / name, broken / "tiny" / name)


def start(runs: Path, verb: str) -> subprocess.Popen[bytes]:
    runs.mkdir(parents=True, exist_ok=True)
    short = [given for given in SHORT if not given.startswith(("rl.max_steps", "rl.save_every"))]
    own = [f"data.cache_dir={runs.parent / 'frames'}", "rl.max_steps=6", "rl.save_every=1"]
    command = [sys.executable, "-m", "orchestrator", verb, f"runs_dir={runs}", *short, *own]
    with Path(f"{runs}.log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)


def break_run(runs: Path, verb: str, kills: int, longest: float) -> int:
    """Run to the end through `kills` kills, or fewer if it ends before; returns their number."""
    choose, killed, process = random.Random(0), 0, start(runs, verb)
    while True:
        with suppress(subprocess.TimeoutExpired):
            wait = choose.uniform(1, longest) if killed < kills else None
            if process.wait(wait) == 0:
                return killed
        target = choose.choice(TARGETS)
        if process.poll() is None and killed < kills:
            victims = list(chosen(target, process, runs))
            for victim in victims:
                with suppress(psutil.NoSuchProcess):
                    victim.kill()
            killed += bool(victims)
            names = ", ".join(sorted({name for name in map(_name, victims) if name}))
            say(f"  {killed}: {target} ({names})")
        if target in ("orchestrator", "both") or process.poll() is not None:
            process.wait()
            process = start(runs, verb)


def chosen(target: str, process: subprocess.Popen[bytes], runs: Path) -> list[psutil.Process]:
    own = psutil.Process(process.pid)
    if target == "ray":
        daemons = [p for p in own.children(recursive=True) if p.name() in RAY]
        return random.sample(daemons, min(1, len(daemons)))
    return ([own] if target != "trainer" else []) + (
        [] if target == "orchestrator" else list(trainers(runs))
    )


def trainers(runs: Path) -> list[psutil.Process]:
    """Commands of stages below `runs`, without their supervisors."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        stage = any(word.startswith(str(runs / ".stages")) for word in words)
        if stage and "orchestrator.supervise" not in words:
            found.append(process)
    return found


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline()[1:3])
    return ""


def compare(name: str, whole: Path, broken: Path) -> None:
    one, other = read_listing(whole.resolve()), read_listing(broken.resolve())
    differ = sorted(f for f in one.keys() | other.keys() if one.get(f) != other.get(f))
    attempts = read_attempts(broken.resolve())
    causes = [attempt.cause for attempt in attempts if attempt.outcome != "done"]
    say(f"{name:7} {len(one)} files, {len(differ)} differ, {len(attempts)} attempts")
    for line in (*map(json.dumps, causes), *differ):
        say(f"        {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
