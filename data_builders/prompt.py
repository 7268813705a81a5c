"""The one place where a question becomes text: SFT, RL and evaluation share it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data_builders.media import PLACE
from data_builders.sample import LETTERS, Sample, SampleError, check_places
from data_builders.specs import PromptSpec


def user_turn(sample: Sample, prompt: PromptSpec, shown: Sequence[str]) -> str:
    """The user's turn for `sample`, with what is `shown` for each of its media in its place.

    They come first, unless the question says where.
    """
    between = text_between(sample, prompt)
    return "".join(f"{text}{item}" for text, item in zip(between, [*shown, ""], strict=True))


def text_between(sample: Sample, prompt: PromptSpec) -> list[str]:
    """The text of the user's turn before each of its media, and after the last."""
    text = user_text(sample, prompt)
    check_places(sample.id, text, sample.media, "its prompt")
    between = PLACE.split(text)
    return between if len(between) > 1 else [""] * len(sample.media) + between


def user_text(sample: Sample, prompt: PromptSpec) -> str:
    """The text of the user's turn; `SampleError` where the template asks for a fact it lacks."""
    try:
        text = question_text(sample.question, sample.options, prompt, sample.facts)
        tail = prompt.tails.get(sample.task, "").format(facts=sample.facts)
    except KeyError as error:
        raise SampleError(
            f"sample {sample.id!r} has no fact {error}, which prompt.template or its task's tail "
            f"shows; it has {', '.join(sample.facts) or 'none'}"
        ) from error
    return f"{text}\n{tail}" if tail else text


def question_text(
    question: str,
    options: Sequence[str],
    prompt: PromptSpec,
    facts: Mapping[str, Any] | None = None,
) -> str:
    """The text of a question whose `options` are texts without letters."""
    listed = "\n".join(f"{a}. {text}" for a, text in zip(LETTERS, options, strict=False))
    return prompt.template.format(question=question, options=listed, facts=facts or {})


def trace_text(sample: Sample, prompt: PromptSpec) -> str:
    """The assistant's turn that SFT imitates: each tag of `prompt.tags` around its block.

    Without tags it is the bare answer.
    """
    if not prompt.tags:
        return sample.truth
    blocks = {"observation": sample.observation, "think": sample.think, "answer": sample.truth}
    missing = [tag for tag in prompt.tags if blocks.get(tag) is None]
    if missing:
        raise ValueError(
            f"sample {sample.id!r} has no {', '.join(missing)}: it can't teach the format"
        )
    return "".join(f"<{tag}>{blocks[tag]}</{tag}>" for tag in prompt.tags)
