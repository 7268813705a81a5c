"""What orchestration adds to a stage: `python -m bench.bench_overhead [seconds]`.

A command that logs a line and a row of progress five times a second runs bare, then as a stage. It
is told apart what is ours (launcher, the actor that streams the log, its supervisor, refreshes of
the report) and what is Ray's own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from bench.figures import figure, say
from orchestrator.plan.make import Plan, make_plan
from orchestrator.plan.stage import ROOT, Command, Progress, Resources
from orchestrator.recipe import load_recipe
from tests.unit.orchestrator.finished import with_values

LOGGER = """
import json, sys, time
file = open(sys.argv[1], "a", buffering=1)
for step in range(1, int(5 * float(sys.argv[2])) + 1):
    time.sleep(0.2)
    file.write(json.dumps({"step": step, "data": {"reward/score": 0.5}}) + "\\n")
    sys.stdout.write(f"step {step} of a training that goes on\\n")
    sys.stdout.flush()
"""
LAUNCH = "import sys; from bench.bench_overhead import launch_stage; launch_stage(*sys.argv[1:])"
IDLE = "ray::IDLE"
SETTLED_SECONDS = 10.0
"""Before the cost of a running stage is measured."""


def main(seconds: str = "60") -> None:
    with tempfile.TemporaryDirectory() as folder:
        bare = _timed([sys.executable, "-c", LOGGER, f"{folder}/bare.jsonl", seconds])
        process = subprocess.Popen([sys.executable, "-c", LAUNCH, folder, seconds], cwd=ROOT)
        sampler = Sampler(psutil.Process(process.pid))
        sampler.start()
        process.wait()
        sampler.join()
        took = float((Path(folder) / "seconds").read_text())
        whole = float((Path(folder) / "launch").read_text())
    say(f"bare command {bare:.1f} s, as a stage {took:.1f} s")
    figure("overhead: added to a stage (bound: 3 s)", took - bare, "s")
    figure("overhead: Ray's start and end", whole - took, "s")
    for whose, memory, share in (
        ("ours", " (bound: 150 MB)", " (bound: 1 %)"),
        ("Ray's", "", ""),
    ):
        figure(f"overhead: unique memory, {whose}{memory}", sampler.memory[whose] / 1e6, "MB")
        figure(f"overhead: of a core, {whose}{share}", 100 * sampler.share(whose), "%")
    figure("overhead: of a core, a Ray worker that does nothing", 100 * sampler.idle(), "%")


def launch_stage(folder: str, seconds: str) -> None:
    """Launch a plan whose only stage is the logger; times go to files in `folder`."""
    from orchestrator.console import Console
    from orchestrator.plan.whole import read_manifest
    from orchestrator.run.launch import launch

    started = time.perf_counter()
    plan = _plan(Path(folder), seconds)
    launch(plan, plan.stages, Console())
    (Path(folder) / "launch").write_text(str(time.perf_counter() - started))
    (Path(folder) / "seconds").write_text(str(read_manifest(plan.stages[0].directory)["seconds"]))


def _plan(folder: Path, seconds: str) -> Plan:
    plan = make_plan(load_recipe("tiny"), folder)
    rl = plan.stage("rl")
    rows = str(rl.directory / "metrics.jsonl")
    spec = Progress(rows, "step", int(5 * float(seconds)), "data.reward/score")
    command = Command("orchestrator", ("-c", LOGGER, rows, seconds), progress=spec)
    alone = {"commands": (command,), "files": {}, "needs": (), "resources": Resources(1)}
    stage = with_values(rl, **alone)
    return replace(plan, stages=(stage,))


class Sampler(threading.Thread):
    """CPU time and memory of the launcher's descendants, by whose they are."""

    def __init__(self, launcher: psutil.Process) -> None:
        super().__init__()
        self._launcher = launcher
        self.memory = {"ours": 0.0, "Ray's": 0.0, IDLE: 0.0}
        self._first: dict[int, float] = {}
        self._last: dict[int, tuple[str, float]] = {}
        self._begun = self._settled = self._end = 0.0

    def run(self) -> None:
        while self._launcher.is_running() and self._launcher.status() != psutil.STATUS_ZOMBIE:
            now = time.perf_counter()
            with suppress(psutil.Error):  # a process ended while it was looked at
                self._look(now)
            time.sleep(1.0)

    def _look(self, now: float) -> None:
        found = {p.pid: (_whose(p), p) for p in self._everyone()}
        running = any("-c" in p.cmdline() and LOGGER in p.cmdline() for _, p in found.values())
        if not running:
            return
        self._begun = self._begun or now
        if now - self._begun < SETTLED_SECONDS:
            return
        self._first = self._first or {pid: _cpu(p) for pid, (_, p) in found.items()}
        if not self._end:
            self._settled = now
        self._end = now
        self._last |= {pid: (whose, _cpu(p)) for pid, (whose, p) in found.items()}
        for group in self.memory:
            used = sum(p.memory_full_info().uss for whose, p in found.values() if whose == group)
            self.memory[group] = max(self.memory[group], used)

    def share(self, group: str) -> float:
        """Of one core, while the command ran."""
        spent = sum(
            cpu - self._first.get(pid, 0.0)
            for pid, (whose, cpu) in self._last.items()
            if whose == group
        )
        return spent / max(1e-9, self._end - self._settled)

    def idle(self) -> float:
        """Of one core, one of the workers that Ray keeps in store: what the actor that runs the
        command would take if it did nothing (Ray's main loop looks for signals 100 times a second).
        """
        idle = [whose for whose, _ in self._last.values() if whose == IDLE]
        return self.share(IDLE) / max(1, len(idle))

    def _everyone(self) -> list[psutil.Process]:
        """The launcher and all below it, also what a supervisor forked away."""
        below = [self._launcher, *self._launcher.children(recursive=True)]
        known = {p.pid for p in below}
        away = [p for p in psutil.process_iter() if p.pid not in known and _is_ours(p)]
        return below + [q for p in away for q in (p, *p.children(recursive=True))]


def _is_ours(process: psutil.Process) -> bool:
    with suppress(psutil.Error):  # of another program, and gone
        return {"orchestrator.run.supervise", LOGGER} <= set(process.cmdline())
    return False


def _whose(process: psutil.Process) -> str:
    words = process.cmdline()
    text = " ".join(words)
    if words[1:3] == ["-c", LOGGER]:
        return "the command"
    if LAUNCH in words or "orchestrator." in text or "StageRunner" in text:
        return "ours"
    return IDLE if IDLE in text else "Ray's"


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main(*sys.argv[1:])
