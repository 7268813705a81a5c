"""The command lines of `predict` and `serve`: options, unlike the verbs about a recipe."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.console import Console

Command = Callable[[Sequence[str], Console], None]


def predict(arguments: Sequence[str], console: Console) -> None:
    """Ask a checkpoint about a clip: <clip, folder or URL> ["question"] [--options ...]."""
    parser = _parser("predict", "Ask a checkpoint about a clip, or about every clip of a folder.")
    parser.add_argument("clip", help="a video file, a folder of them, or an http(s) address")
    parser.add_argument(
        "question", nargs="?", help="left out: every motion primitive, as a motion card"
    )
    parser.add_argument(
        "--options", nargs="+", default=[], metavar="TEXT", help="to choose from (default: Yes No)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object a clip")
    parser.add_argument(
        "--out", type=Path, help="Parquet for the answers (a folder's: predictions.parquet)"
    )
    given = parser.parse_args(arguments)
    from orchestrator.ask.predict import predict as run

    run(given, console)


def serve(arguments: Sequence[str], console: Console) -> None:
    """Ask checkpoints about clips on a local page."""
    parser = _parser("serve", "Ask checkpoints about clips on a page of this machine.")
    parser.add_argument(
        "--port", type=int, default=8322, help="where the page is served; 0 is any free one"
    )
    given = parser.parse_args(arguments)
    from orchestrator.ask.serve import serve as run

    run(given, console)


COMMANDS: dict[str, Command] = {"predict": predict, "serve": serve}


def _parser(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        f"python -m orchestrator {name}", description=description, allow_abbrev=False
    )
    parser.add_argument(
        "--model",
        metavar="RUN[/base|sft|rl]|DIR",
        help="a run, one of its checkpoints, or a checkpoint's directory "
        "(default: the newest merged one, or else the newest of SFT)",
    )
    parser.add_argument("--recipe", help="whose prompt and frames to use with a directory")
    parser.add_argument("--engine", choices=("hf", "vllm"), default="hf", help="default: hf")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="default: runs")
    return parser
