"""Does a checkpoint hold its whole model? What is missing of it would be random, in silence."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError

from reward_plugins.errors import CamReasonerError

UNREADABLE = (OSError, ValueError, RuntimeError, KeyError, SafetensorError, UnpicklingError)
"""What transformers raises for files that are cut short, pointers of Git LFS, or no weights."""


AGAIN = (
    "fetch or copy it again, with config, weights, tokenizer and processor; pointers of Git LFS "
    "are no weights"
)
HEAD = "lm_head.weight"


class WeightsError(CamReasonerError, ValueError):
    """A checkpoint that does not load as a whole."""


def check(checkpoint: str | Path) -> None:
    """Raise `WeightsError` unless weights, tokenizer and processor are all there, and no more.

    Reads the names and shapes of the weights alone: a second, whatever their size.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # it would warn of a tied head
    try:
        processor = AutoProcessor.from_pretrained(checkpoint)
        config = AutoConfig.from_pretrained(checkpoint)
        tied = _untie(config)
        _, report = AutoModelForImageTextToText.from_pretrained(
            checkpoint,
            config=config,
            device_map="meta",
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except (*UNREADABLE, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{checkpoint} does not load ({type(error).__name__}: {error}): {AGAIN}"
        ) from error
    finally:
        logging.set_verbosity(before)
    if not processor.tokenizer("pan left")["input_ids"]:  # transformers makes an empty one up
        raise WeightsError(f"{checkpoint} has no tokenizer: {AGAIN}")
    heads = {name for name in report["missing_keys"] if tied and name.endswith(HEAD)}
    _check_report(checkpoint, {**report, "missing_keys": set(report["missing_keys"]) - heads})


def _untie(config: Any) -> bool:
    """Whether the head is the embedding's twin; without memory they can't be compared."""
    tied = False
    for part in (config, config.get_text_config()):
        tied |= bool(getattr(part, "tie_word_embeddings", False))
        part.tie_word_embeddings = False
    return tied


def _check_report(checkpoint: str | Path, report: dict[str, Any]) -> None:
    """Raise `WeightsError` for what transformers reports of loading."""
    faults = [
        _fault(what, report.get(key, ()))
        for key, what in (
            ("missing_keys", "are missing, and would be random"),
            ("unexpected_keys", "belong to another model, and would be left out"),
            ("mismatched_keys", "have another shape, and would be random"),
        )
        if report.get(key)
    ]
    if faults:
        raise WeightsError(
            f"{checkpoint} is not the model that its config.json describes: {'; '.join(faults)}. "
            "Fetch or save it again as a whole, under the names of its architecture"
        )


def _fault(what: str, names: Collection[Any]) -> str:
    told = sorted(name if isinstance(name, str) else name[0] for name in names)
    return f"{len(told)} tensors {what} ({', '.join(told[:3])}{', …' if len(told) > 3 else ''})"
