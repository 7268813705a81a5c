"""Kill what a run does beside training, at every rename and at random moments, and do it again.

`python -m bench.bench_points`: an extraction, the build of an environment and the publication of
a checkpoint get SIGKILL in place of a rename, right behind one (before anything more is synced),
and at a random time; the same again must then come to the end that an unbroken one comes to, and
leave nothing half written.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from bench.figures import figure, say
from orchestrator.plan.stage import ROOT
from reward_plugins.files import PARTIAL
from tests.unit.orchestrator.test_kill_matrix import KILLED

RENAMES = (1, -1, 2, -2, 3, -3)
RANDOM = 6
REPO = "me/policy"


def extract(folder: Path, _: str) -> None:
    from data_builders.archives import extract

    extract(folder / "clips.zip", folder / "clips")


def build(folder: Path, _: str) -> None:
    """An environment with one small package of our own lock, below `folder`."""
    from orchestrator import envs

    envs.ROOT, envs.LOCKS = folder, folder / "envs"
    envs.build("probe")


def publish(folder: Path, url: str) -> None:
    from huggingface_hub import constants

    from orchestrator.publish.package import Package
    from orchestrator.publish.upload import upload

    constants.HF_HUB_DISABLE_XET = True  # the Hub then takes Git LFS
    files = {path.name: path for path in (folder / "policy").iterdir()}
    upload(Package("model", files, "---\n---\n# It\n"), REPO, "Publish it", endpoint=url)


WORK: dict[str, Callable[[Path, str], None]] = {
    "extraction": extract,
    "environment": build,
    "publish": publish,
}


def prepare(folder: Path) -> None:
    """What the work needs."""
    with zipfile.ZipFile(folder / "clips.zip", "w") as archive:
        for number in range(400):
            archive.writestr(f"{number % 7}/{number}.mp4", bytes([number % 256]) * 20_000)
    (folder / "envs").mkdir()
    lock = (ROOT / "envs" / "orchestrator.txt").read_text()
    (folder / "envs" / "probe.txt").write_text(
        "".join(line for line in lock.splitlines(True) if line.startswith(("pyyaml==", "rich==")))
    )
    (folder / "policy").mkdir()
    for number in range(4):
        content = random.Random(number).randbytes(20_000)
        (folder / "policy" / f"model-{number}.safetensors").write_bytes(content)


def main() -> None:
    sys.path.append(str(ROOT / "tests" / "unit" / "publish"))
    from upload_hub import FakeHub

    choose, broken, killed = random.Random(0), 0, 0
    for name in WORK:
        with tempfile.TemporaryDirectory() as whole, FakeHub() as hub:
            prepare(Path(whole))
            started = time.monotonic()
            if start(name, Path(whole), hub.url).wait() != 0:
                raise SystemExit(f"{name} fails unbroken")
            length = time.monotonic() - started
            end = state(Path(whole), hub.repos)
        times = [choose.random() * length for _ in range(RANDOM)]
        for rename, after in [*((n, None) for n in RENAMES), *((0, t) for t in times)]:
            with tempfile.TemporaryDirectory() as folder, FakeHub() as hub:
                prepare(Path(folder))
                hit = kill(start(name, Path(folder), hub.url, rename), after)
                age(Path(folder))
                again = start(name, Path(folder), hub.url).wait()
                wrong = again != 0 or state(Path(folder), hub.repos) != end
                broken, killed = broken + wrong, killed + hit
                if wrong:
                    place = f"rename {rename}" if rename else f"after {after:.2f} s"
                    say(f"  {name} killed at {place}: again gives {again}, another end")
    figure("points: kills", killed, "")
    figure("points: kills after which the same again came to another end", broken, "")
    if broken:
        raise SystemExit(1)


def start(name: str, folder: Path, url: str, rename: int = 0) -> subprocess.Popen[bytes]:
    words = [str(rename), "bench.bench_points", name, str(folder), url]
    token = {"HF_TOKEN": "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"}
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, *words],
        cwd=ROOT,
        env={**os.environ, **token, "HF_HOME": str(folder / "hub"), "UV": str(uv())},
        stderr=subprocess.DEVNULL,
    )


def uv() -> str | None:
    return shutil.which(os.environ.get("UV", "uv")) or shutil.which(str(ROOT / ".tools/bin/uv"))


def kill(process: subprocess.Popen[bytes], after: float | None) -> bool:
    """Whether it was killed, after so many seconds or by itself."""
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.wait() == -9


def age(folder: Path) -> None:
    """Let a day pass over what is half written: until then another process may be at it."""
    for path in (path for path in folder.rglob("*") if PARTIAL.fullmatch(path.name)):
        os.utime(path, (0, 0))


def state(folder: Path, repos: object) -> str:
    """A sum of what the work left: its files, installed packages, and what is in the repository.

    What is half written counts too; what Python compiles as it runs does not.
    """
    found = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for root in ("clips", ".envs")
        for path in sorted((folder / root).rglob("*"))
        if path.is_file() and not path.is_symlink() and path.suffix in (".mp4", ".py", ".lock")
    }
    half = [path.name for path in folder.rglob("*") if PARTIAL.fullmatch(path.name)]
    return json.dumps([found, half, repos], default=repr, sort_keys=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        WORK[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
    else:
        main()
