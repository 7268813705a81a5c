"""The model's process: `python -m orchestrator.ask.worker <engine> <checkpoint> <max tokens>`.

Runs in the evaluation's environment. Reads a batch a line from standard input, a JSON list of
`[system, text, frame cache entry]`, and writes a line of outcomes for it, in order: `{"text",
"tokens"}` or `{"error"}`. Its first line is `{}` once the model is loaded.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from data_builders.frames import FrameCacheError, load_entry
from orchestrator.evaluation.engines import Clip, Engine, EngineError, Outcome, Request, open_engine


def main(arguments: Sequence[str]) -> int:
    """Load the checkpoint, then answer until standard input ends."""
    # Libraries print; the replies' channel is ours alone.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    name, checkpoint, max_new_tokens = arguments
    try:
        engine = open_engine(name, Path(checkpoint), int(max_new_tokens))
    except EngineError as error:
        replies.write(json.dumps({"error": str(error)}) + "\n")
        return 1
    replies.write("{}\n")
    for line in sys.stdin:
        replies.write(json.dumps(outcomes(engine, json.loads(line))) + "\n")
    return 0


def outcomes(engine: Engine, batch: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What became of each request; a batch that fails is tried again one by one."""
    try:
        return [_row(outcome) for outcome in engine.answer([_request(*row) for row in batch])]
    except (EngineError, FrameCacheError) as error:
        if len(batch) == 1:
            return [{"error": str(error)}]
    return [outcomes(engine, [row])[0] for row in batch]


def _row(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, EngineError):
        return {"error": str(outcome)}
    return {"text": outcome.text, "tokens": outcome.tokens}


def _request(system: str, text: str, entry: str) -> Request:
    return Request(system, ("", text), [Clip(*_load(entry), Path(entry) / "clip.mp4")])


_load = lru_cache(maxsize=8)(lambda entry: load_entry(Path(entry)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
