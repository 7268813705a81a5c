"""Keep responses by their score: `python -m orchestrator.sampling.select <config.json>`.

Writes `questions.parquet`, which a later stage names, and `kept.json`, what became of the rest.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from data_builders.sample import Sample, write_samples
from orchestrator.evaluation.ledger import Ledger
from orchestrator.sampling.config import SampleConfig, SamplingError, run
from reward_plugins.files import write_file
from reward_plugins.ota import parse
from reward_plugins.terms import compute_score

log = logging.getLogger(__name__)


class Scored(NamedTuple):
    """A response with its scores."""

    text: str
    score: float
    accuracy: float


def select(config: SampleConfig) -> None:
    """Write the questions that were kept; raises `SamplingError` where none was."""
    samples, _ = config.readable()
    ledger = Ledger(config.sampled)
    counts = dict.fromkeys(("questions", "responses", "failed", "kept", "questions_kept"), 0)
    counts["unreadable"] = len(config.draw()) - len(samples)
    kept: list[Sample] = []
    errors: list[str] = []
    for sample in samples:
        answers = [ledger.get(key) for key in config.keys(sample)]
        texts = [answer.response for answer in answers if answer is not None]
        errors += [answer.error for answer in answers if answer is not None and answer.error]
        scored = [_score(sample, text, config) for text in texts if text is not None]
        own = list(KEEP[config.keep](sample, scored, config))
        kept += own
        counts["questions"] += 1
        counts["responses"] += len(texts)
        counts["failed"] += len(texts) - len(scored)
        counts["kept"] += len(own)
        counts["questions_kept"] += bool(own)
    write_file(config.out / "kept.json", json.dumps(counts, indent=1) + "\n")
    log.info("kept %(kept)d of %(responses)d responses, %(failed)d failed", counts)
    if not kept:
        raise SamplingError(
            f"no response of {counts['responses']:,} to {counts['questions']:,} questions was kept "
            f"by sample.keep={config.keep}; sample more (sample.responses), start from a better "
            "policy, or keep others" + (f"; the first failure: {errors[0]}" if errors else "")
        )
    write_samples(config.out / "questions.parquet", kept)


def _score(sample: Sample, text: str, config: SampleConfig) -> Scored:
    info = {"sample_id": sample.id, "options": sample.options, "task": sample.task}
    facts = {**info, "facts": sample.facts, "provenance": sample.provenance, "progress": 1.0}
    scores = compute_score(sample.task, text, sample.truth, facts, **config.reward)
    return Scored(text, scores["score"], scores["accuracy"])


def _correct(sample: Sample, scored: Sequence[Scored], config: SampleConfig) -> Iterator[Sample]:
    """Right and well-formed responses, each wording once."""
    right = dict.fromkeys(each.text for each in scored if each.accuracy >= 1.0)
    traces = [trace for text in right if (trace := _traced(sample, text, config)) is not None]
    for number, trace in enumerate(traces[: config.most]):
        yield trace.model_copy(update={"id": f"{sample.id}#{number}"})


def _best(sample: Sample, scored: Sequence[Scored], config: SampleConfig) -> Iterator[Sample]:
    """The well-formed response with the highest reward above 0; the first of equals."""
    for each in sorted(scored, key=lambda each: -each.score):
        if each.score > 0 and (trace := _traced(sample, each.text, config)) is not None:
            yield trace
            return


def _between(sample: Sample, scored: Sequence[Scored], config: SampleConfig) -> Iterator[Sample]:
    """The question itself, where the policy is right now and then."""
    mean = sum(each.accuracy for each in scored) / max(1, len(scored))
    if scored and config.low < mean < config.high:
        yield sample.model_copy(update={"observation": None, "think": None})


KEEP = {"correct": _correct, "best": _best, "between": _between}


def _traced(sample: Sample, text: str, config: SampleConfig) -> Sample | None:
    """The question with the response's trace; None for one without the prompt's blocks."""
    trace = parse(text, config.prompt.tags)
    if trace is None:
        return None
    blocks = {"observation": trace.observation, "think": trace.think}
    provenance = {**sample.provenance, "sampled_from": config.policy}
    return sample.model_copy(update={**blocks, "provenance": provenance})


if __name__ == "__main__":
    sys.exit(run(select, sys.argv[1:]))
