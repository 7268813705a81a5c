"""Sample responses: `python -m orchestrator.sampling.generate <config.json>`.

It runs in the engine's environment. Killed, it loses at most one batch; run again, it goes on.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from data_builders.frames import FrameIndex
from data_builders.progress import Meter
from data_builders.sample import Sample
from orchestrator.evaluation.engines import (
    Engine,
    EngineError,
    Sampling,
    make_request,
    open_engine,
)
from orchestrator.sampling.config import SampleConfig, run
from orchestrator.sampling.responses import read_responses

log = logging.getLogger(__name__)


def generate(config: SampleConfig) -> None:
    """Append the responses to every question that has none yet."""
    samples, index = config.readable()
    done = read_responses(config.sampled)
    waiting = [sample for sample in samples if sample.id not in done]
    meter = Meter(config.out / "progress.jsonl", "sampling")
    meter(len(samples) - len(waiting), len(samples))
    if not waiting:
        return
    sampling = Sampling(config.temperature, config.top_p, config.seed + len(done))
    engine = open_engine(config.engine, config.checkpoint, config.max_new_tokens, sampling=sampling)
    with config.sampled.open("a") as file:
        for batch in _batches(waiting, max(1, config.batch_size // config.responses)):
            rows = _respond(engine, batch, index, config)
            file.write("".join(json.dumps(row) + "\n" for row in rows))
            file.flush()
            meter(len(samples) - len(waiting) + waiting.index(batch[-1]) + 1, len(samples))


def _respond(
    engine: Engine, batch: Sequence[Sample], index: FrameIndex, config: SampleConfig
) -> list[dict[str, Any]]:
    """A row a question, with each response's text, or None where the engine failed."""
    requests = [make_request(s, s.media, index, config.prompt) for s in batch]
    repeated = [request for request in requests for _ in range(config.responses)]
    outcomes = iter(engine.answer(repeated))
    rows = []
    for sample in batch:
        own = [next(outcomes) for _ in range(config.responses)]
        for failure in (each for each in own if isinstance(each, EngineError)):
            log.warning("%s: %s", sample.id, failure)
        texts = [None if isinstance(each, EngineError) else each.text for each in own]
        rows.append({"id": sample.id, "responses": texts})
    return rows


def _batches(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    for start in range(0, len(samples), size):
        yield samples[start : start + size]


if __name__ == "__main__":
    sys.exit(run(generate, sys.argv[1:]))
