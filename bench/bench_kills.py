"""Kill one short run at random moments of every stage, and compare it with an unbroken one.

`python -m bench.bench_kills [folder]`: 20 times or more the orchestrator, the trainer, both, Ray or
one of its workers get SIGKILL, and the same command is given again where it ended. Compared are
what the manifests tell, every file, and what is in the checkpoints. With `folder` the runs stay
there.
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
from typing import Any

import psutil

from bench.figures import say
from orchestrator.plan.stage import ROOT
from orchestrator.run.attempts import read_attempts
from tests.integration.test_kills import differing, differing_metrics, tensors
from tests.integration.test_pipeline import SHORT

KILLS = {"data": 3, "model": 2, "sft": 6, "rl": 9, "eval": 3, "report": 2}
"""How often each stage is to be hit; the last ones are over before some of theirs."""
TARGETS = ("orchestrator", "trainer", "both", "ray", "worker")
RAY = ("gcs_server", "raylet")
SHARE = 0.7
"""Of an unbroken stage's length, at most: a machine less busy than then would be done sooner."""


def main(folder: str | None = None) -> None:
    with nullcontext(folder) if folder else tempfile.TemporaryDirectory() as parent:
        runs, whole = Path(str(parent)) / "runs", Path(str(parent)) / "whole"
        started = time.monotonic()
        if start(runs).wait() != 0:
            raise SystemExit(f"the unbroken run failed: {runs}.log")
        runs.rename(whole)  # the broken one takes its place: what is written may name it
        say(f"unbroken: {time.monotonic() - started:.0f} s")
        started = time.monotonic()
        killed = Breaker(whole, runs).run()
        say(f"killed {killed} times: {time.monotonic() - started:.0f} s")
        places = {name: [(p / "tiny" / name).resolve() for p in (whole, runs)] for name in KILLS}
        if not all([compare(name, *both) for name, both in places.items()]):
            raise SystemExit(1)


def start(runs: Path) -> subprocess.Popen[bytes]:
    runs.mkdir(parents=True, exist_ok=True)
    with Path(f"{runs}.log").open("ab") as log:
        return subprocess.Popen(command(runs, "run"), cwd=ROOT, stdout=log, stderr=log)


def command(runs: Path, verb: str, *more: str) -> list[str]:
    """A verb on the short run."""
    own = [f"data.cache_dir={runs}/frames", "rl.max_steps=6", "rl.save_every=1", "sft.log_every=1"]
    kept = [key for key in SHORT if not key.startswith(("rl.max_steps", "rl.save_every"))]
    return [sys.executable, "-m", "orchestrator", verb, f"runs_dir={runs}", *kept, *own, *more]


class Breaker:
    """Brings a run to its end through kills, at random moments of an unbroken stage's length."""

    def __init__(self, whole: Path, runs: Path) -> None:
        self.whole, self.runs, self.process = whole, runs, start(runs)
        self.choose = random.Random(0)
        self.attempts = dict.fromkeys(KILLS, 0)
        self.killed = 0

    def run(self) -> int:
        """The number of kills that hit; those that came too late are made up for further on."""
        due = 0
        for stage, often in KILLS.items():
            due += often
            self.break_stage(stage, due)
        while self.process.wait() != 0:
            self.go_on()
        return self.killed

    def break_stage(self, stage: str, due: int) -> None:
        """Kill until `due` kills have hit in all, or the stage is done."""
        length = SHARE * seconds(self.whole / "tiny" / stage)
        while self.killed < due:
            after = self.choose.random() * length
            target = self.choose.choice(TARGETS)
            if not self.waited(stage, after):
                return
            hit = self.kill(target)
            self.killed += bool(hit)
            say(f"  {self.killed}: {stage} after {after:.1f} s: {target} ({hit or 'none there'})")
            length = length / 2  # an attempt that goes on is shorter

    def waited(self, stage: str, after: float) -> bool:
        """Whether the stage was not done `after` so many seconds of a new attempt at it."""
        while (tried := self.tried(stage)) <= self.attempts[stage]:
            self.go_on()
            if self.done(stage):
                return False
            time.sleep(0.05)
        self.attempts[stage] = tried
        until = time.monotonic() + after
        while time.monotonic() < until and not self.done(stage):
            time.sleep(0.05)
        return not self.done(stage)

    def go_on(self) -> None:
        """Give the same command again where it has ended before its end."""
        if self.process.poll() is not None:
            self.process = start(self.runs)

    def done(self, stage: str) -> bool:
        return any(self.runs.glob(f".stages/{stage}/*/manifest.json"))

    def tried(self, stage: str) -> int:
        return sum(len(read_attempts(d)) for d in self.runs.glob(f".stages/{stage}/*"))

    def kill(self, target: str) -> str:
        """What was hit, by name."""
        victims = list(self.victims(target))
        names = {_name(victim) for victim in victims}
        for victim in victims:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        if target in ("orchestrator", "both"):
            self.process.wait()
        return ", ".join(sorted(names))

    def victims(self, target: str) -> list[psutil.Process]:
        own = [psutil.Process(self.process.pid)] if self.process.poll() is None else []
        below = own[0].children(recursive=True) if own else []
        if target == "worker":
            found = [p for p in below if _name(p).startswith("ray::")]
        elif target == "ray":
            found = [p for p in below if p.name() in RAY]
        else:
            trainers = self.trainers() if target != "orchestrator" else []
            return trainers if target == "trainer" else own + trainers
        return [self.choose.choice(found)] if found else []

    def trainers(self) -> list[psutil.Process]:
        """Commands of stages, without their supervisors."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            stage = any(word.startswith(str(self.runs / ".stages")) for word in words)
            if stage and "orchestrator.run.supervise" not in words:
                found.append(process)
        return found


def _name(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        words = process.cmdline()
        name = words[0] if process.name() in RAY else " ".join(words[1:3])
        return words[0] if words[0].startswith("ray::") else Path(name).name or words[0]
    return "gone"


def seconds(stage: Path) -> float:
    """How long the unbroken run's last attempt took."""
    last = read_attempts(stage.resolve())[-1]
    return (last.ended or last.started) - last.started


def compare(name: str, whole: Path, broken: Path) -> bool:
    """Whether a stage came out the same; prints what did not."""
    attempts = read_attempts(broken)
    causes = [attempt.cause for attempt in attempts if attempt.outcome != "done"]
    differ = {"files": differing(whole, broken)}
    if (whole / "metrics.jsonl").is_file():
        differ["metrics"] = differing_metrics(whole, broken)
    if name == "report":  # its page tells when, and at which attempt
        differ["files"] = [file for file in differ["files"] if file != "report.html"]
    if name == "rl":
        differ["files"] = [file for file in differ["files"] if not file.endswith(".pt")]
        differ["tensors"] = [] if tensors(whole) == tensors(broken) else ["checkpoints"]
    told = [_facts(stage) for stage in (whole, broken)]
    differ["manifest"] = [key for key in told[0] if told[0][key] != told[1][key]]
    say(f"{name:7} {len(attempts)} attempts: {', '.join(str(cause) for cause in causes)}")
    for what, found in differ.items():
        say(f"        {what}: {', '.join(found) or 'equal'}")
    return not any(differ.values())


def _facts(stage: Path) -> dict[str, Any]:
    """What a manifest tells that does not depend on the place or the time."""
    told = json.loads((stage / "manifest.json").read_text())
    facts = {key: told[key] for key in ("stage", "seeds", "code", "environments")}
    return {**facts, "files": told["outputs"]["files"]}


if __name__ == "__main__":
    main(*sys.argv[1:])
