"""Nothing of a policy or of a trace gets lost in silence: LLaMA-Factory warns of neither.

A private hook: `run_sft` calls `get_dataset` by the name that its module has for it (0.9.5,
train/sft/workflow.py:55), before it loads the model.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import pyarrow.compute as pc

from reward_plugins import weights
from reward_plugins.errors import CamReasonerError

UNCUT = 1 << 30
log = logging.getLogger(__name__)


class LengthError(CamReasonerError, ValueError):
    """Traces that are longer than what is trained on."""


def install() -> None:
    """Have this process train on whole checkpoints and whole traces alone.

    Training then begins with `WeightsError` or `LengthError` where they are not.
    """
    from llamafactory.train.sft import workflow

    own = workflow.get_dataset

    @wraps(own)
    def get_dataset(
        template: Any, model_args: Any, data_args: Any, training_args: Any, **given: Any
    ) -> dict[str, Any]:
        with _unsharded(training_args):
            weights.check(model_args.model_name_or_path)
        if data_args.packing:  # fills samples up to the limit, and cuts at it
            return dict(own(template, model_args, data_args, training_args, **given))
        uncut = copy.copy(data_args)
        uncut.cutoff_len = UNCUT
        module: dict[str, Any] = own(template, model_args, uncut, training_args, **given)
        _check(module["train_dataset"], data_args.cutoff_len)
        return module

    workflow.get_dataset = get_dataset


@contextmanager
def _unsharded(training_args: Any) -> Iterator[None]:
    """Under ZeRO-3 transformers shards whatever it reads, and refuses to read names and shapes
    alone (5.6.0, integrations/accelerate.py:132).
    """
    from transformers.integrations import deepspeed

    config = getattr(training_args, "hf_deepspeed_config", None)
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if config is not None:
            deepspeed.set_hf_deepspeed_config(config)


def _check(dataset: Any, most: int) -> None:
    """Raise `LengthError` for samples of more than `most` tokens."""
    lengths = pc.list_value_length(dataset.data.column("input_ids"))
    shortest, longest = pc.min_max(lengths).as_py().values()
    over = pc.sum(pc.greater(lengths, most)).as_py()
    if over:
        raise LengthError(
            f"{over} of {len(lengths)} traces are longer than sft.max_length={most} tokens with "
            f"their prompt, and would be trained on without their end; the longest has {longest}: "
            f"sft.max_length={longest}, or fewer frames or pixels (sft.frames)"
        )
    log.warning(
        "%d traces of %d to %d tokens, of %d at most", len(lengths), shortest, longest, most
    )
