"""The one place where a question becomes text: SFT, RL and evaluation share it."""

from __future__ import annotations

from collections.abc import Sequence

from data_builders.sample import LETTERS, Sample
from data_builders.specs import PromptSpec


def user_text(sample: Sample, prompt: PromptSpec) -> str:
    """The user's turn for `sample`, without the video placeholder."""
    return question_text(sample.question, sample.options, prompt)


def question_text(question: str, options: Sequence[str], prompt: PromptSpec) -> str:
    """The user's turn for a question whose `options` are texts without letters."""
    listed = "\n".join(f"{a}. {text}" for a, text in zip(LETTERS, options, strict=False))
    return prompt.template.format(question=question, options=listed)


def trace_text(sample: Sample, prompt: PromptSpec) -> str:
    """The assistant's turn that SFT imitates: each tag of `prompt.tags` around its block.

    Without tags it is the bare answer.
    """
    if not prompt.tags:
        return sample.answer
    blocks = {"observation": sample.observation, "think": sample.think, "answer": sample.answer}
    missing = [tag for tag in prompt.tags if blocks.get(tag) is None]
    if missing:
        raise ValueError(
            f"sample {sample.id!r} has no {', '.join(missing)}: it can't teach the format"
        )
    return "".join(f"<{tag}>{blocks[tag]}</{tag}>" for tag in prompt.tags)
