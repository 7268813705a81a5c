"""Sample responses: `python -m orchestrator.sampling.generate <config.json>`.

It runs in the engine's environment. Killed, it loses at most one batch; run again, it goes on, with
other draws than an unbroken run would have made.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from functools import partial

from data_builders.frames import FrameIndex
from data_builders.progress import Meter
from data_builders.sample import Sample
from orchestrator.evaluation.engines import (
    Engine,
    EngineError,
    Outcome,
    Sampling,
    answer_each,
    make_request,
    open_engine,
)
from orchestrator.evaluation.ledger import Answer, Ledger
from orchestrator.evaluation.pool import engines, spread
from orchestrator.sampling.config import SampleConfig, run

log = logging.getLogger(__name__)


def generate(config: SampleConfig) -> None:
    """Add the responses that each question lacks; one that failed is asked for again."""
    samples, index = config.readable()
    ledger = Ledger(config.sampled)
    waiting = [sample for sample in samples if any(k not in ledger for k in config.keys(sample))]
    meter, done = Meter(config.out / "progress.jsonl", "sampling"), len(samples) - len(waiting)
    meter(done, len(samples))
    if not waiting:
        return
    sampling = Sampling(config.temperature, config.top_p, config.seed + done)
    opening = partial(
        open_engine, config.engine, config.checkpoint, config.max_new_tokens, sampling=sampling
    )
    size = max(1, config.batch_size // config.responses)
    batches = [waiting[start : start + size] for start in range(0, len(waiting), size)]
    with engines(opening, config.engines) as team:
        responders = [partial(_respond, engine, index, config) for engine in team]
        for rows in spread(responders, batches):
            ledger.append(rows)
            done += len(rows) // config.responses
            meter(done, len(samples))


def _respond(
    engine: Engine, index: FrameIndex, config: SampleConfig, batch: Sequence[Sample]
) -> list[tuple[str, Answer]]:
    """A row of the ledger for each response to the questions of `batch`."""
    keys = [key for sample in batch for key in config.keys(sample)]
    requests = [make_request(s, s.media, index, config.prompt) for s in batch]
    # No letters: what the options' probabilities are, nobody asks here.
    repeated = [r._replace(letters=()) for r in requests for _ in range(config.responses)]
    outcomes = answer_each(engine, repeated)
    return [(key, _row(key, outcome)) for key, outcome in zip(keys, outcomes, strict=True)]


def _row(key: str, outcome: Outcome) -> Answer:
    if isinstance(outcome, EngineError):
        log.warning("%s: %s", key, outcome)
        return Answer(None, str(outcome))
    return Answer(outcome.text, None, outcome.tokens, outcome.prompt_tokens)


if __name__ == "__main__":
    sys.exit(run(generate, sys.argv[1:]))
