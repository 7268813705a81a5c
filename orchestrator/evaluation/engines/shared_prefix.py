"""Greedy decoding that reads the prompt up to the end of its pictures once for all its questions.

Hugging Face `generate` has no such thing: it would read the visual tokens, most of the prompt,
again for every question.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from orchestrator.evaluation.engines import Sampling

Choose = Callable[[torch.Tensor], torch.Tensor]
"""From `(B, V)` logits to `(B,)` tokens."""
LIKELIEST: Choose = partial(torch.argmax, dim=-1)


@dataclass
class Generated:
    """The responses to a batch, and what the model remembers of prompts and responses."""

    tokens: list[list[int]]
    """Of each row, the end of the turn included."""
    model: Any
    cache: Any
    prompts: torch.Tensor
    """Attention mask of the prompts, `(B, L)`: the cache's first columns."""
    last: torch.Tensor
    """The prompts' last tokens, `(B,)`."""
    position: torch.Tensor
    """Theirs, `(1, B, 1)`."""

    def next_logs(self, kept: Sequence[int], heads: Sequence[Sequence[int]]) -> torch.Tensor:
        """Log-probabilities of the token behind each row's head, `(B, V)`.

        A head follows the prompt and so many of the row's tokens as `kept` says. What stands before
        is remembered, but for one token: this is a forward pass of a few tokens.
        """
        device, prompt = self.prompts.device, self.prompts.shape[1]
        before = [[end, *row] for end, row in zip(self.last.tolist(), self.tokens, strict=True)]
        rows = [
            torch.tensor([row[count], *head], device=device)
            for row, count, head in zip(before, kept, heads, strict=True)
        ]
        ids, mask = _pad(rows), _pad([torch.ones_like(row) for row in rows])
        counts = torch.tensor(kept, device=device)[:, None]
        columns = self.cache.get_seq_length()
        remembered = (torch.arange(columns, device=device) < prompt - 1 + counts).long()
        remembered[:, :prompt] *= self.prompts
        logits = self.model(
            input_ids=ids,
            attention_mask=torch.cat([remembered, mask], dim=1),
            position_ids=(self.position + counts + mask.cumsum(dim=1) - 1).expand(3, -1, -1),
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        self.cache.crop(columns)
        return logits.float().log_softmax(dim=-1)


def generate(
    model: Any,
    inputs: dict[str, torch.Tensor],
    clips: Sequence[Hashable],
    visual_tokens: Sequence[int],
    max_new_tokens: int,
    choose: Choose = LIKELIEST,
) -> Generated:
    """What `model` answers each row of `inputs` with.

    `inputs` are a batch's keyword arguments for Hugging Face `generate`, padded on the left.
    Rows whose `clips` are equal may begin alike, up to the last of their `visual_tokens`. Those
    tokens are never written; `choose` picks the next from the logits of the others. Positions go on
    from the prompt's last one, as they do in training.
    """
    rows = _Rows(model, inputs, visual_tokens)
    heads = list(zip(clips, rows.prefixes(inputs["input_ids"]), strict=True))
    groups = {head: place for place, head in enumerate(dict.fromkeys(heads))}
    firsts = [heads.index(head) for head in groups]
    group_of = torch.tensor([groups[head] for head in heads], device=rows.device)

    prefix = rows.take([(row, rows.starts[row], rows.ends[row]) for row in firsts])
    cache = model(**prefix, use_cache=True, logits_to_keep=1).past_key_values
    cache.batch_select_indices(group_of)

    suffix = rows.take([(row, end, rows.length) for row, end in enumerate(rows.ends)])
    mask = torch.cat([prefix["attention_mask"][group_of], suffix["attention_mask"]], dim=1)
    step = {**suffix, "attention_mask": mask, "past_key_values": cache}
    return Generated(
        tokens=_continue(model, step, list(visual_tokens), max_new_tokens, choose),
        model=model,
        cache=cache,
        prompts=mask,
        last=inputs["input_ids"][:, -1],
        position=_last_position(suffix),
    )


def chooser(sampling: Sampling, device: Any) -> Choose:
    """Picks `(B,)` tokens from `(B, V)` logits: the likeliest, or drawn from the nucleus."""
    if sampling.temperature == 0:
        return LIKELIEST
    generator = torch.Generator(device).manual_seed(sampling.seed)

    def choose(logits: torch.Tensor) -> torch.Tensor:
        chances, tokens = (logits.float() / sampling.temperature).softmax(-1).sort(descending=True)
        before = chances.cumsum(-1) - chances
        kept = chances.masked_fill(before >= sampling.top_p, 0.0)
        places = torch.multinomial(kept, 1, generator=generator)
        return tokens.gather(-1, places)[:, 0]

    return choose


class _Rows:
    """The prompts of a batch, to be cut into pieces and padded anew."""

    def __init__(self, model: Any, inputs: dict[str, torch.Tensor], visual: Sequence[int]) -> None:
        named = {key: value for key, value in inputs.items() if key != "inputs_embeds"}
        self.positions, _ = model.model.get_rope_index(**named)
        self.embeddings = inputs["inputs_embeds"]
        self.device, self.length = self.embeddings.device, self.embeddings.shape[1]
        self.starts: list[int] = inputs["attention_mask"].argmax(dim=1).tolist()
        is_visual = torch.isin(inputs["input_ids"], torch.tensor(visual, device=self.device)).long()
        last_from_the_end = is_visual.flip(dims=[1]).argmax(dim=1)
        ends = torch.where(is_visual.any(dim=1), self.length - last_from_the_end, 0)
        # A text is read from its second token on: neither piece of a row may be empty.
        self.ends = [
            max(end, start + 1) for end, start in zip(ends.tolist(), self.starts, strict=True)
        ]

    def prefixes(self, ids: torch.Tensor) -> list[tuple[int, ...]]:
        """The tokens of each row up to its end."""
        spans = zip(ids.tolist(), self.starts, self.ends, strict=True)
        return [tuple(row[start:end]) for row, start, end in spans]

    def take(self, spans: Sequence[tuple[int, int, int]]) -> dict[str, torch.Tensor]:
        """Columns `start` to `end` of some rows, padded on the left, as a model's arguments."""
        return {
            "inputs_embeds": _pad([self.embeddings[row, a:b] for row, a, b in spans]),
            "attention_mask": _pad(
                [torch.ones(b - a, dtype=torch.long, device=self.device) for _, a, b in spans]
            ),
            "position_ids": _pad([self.positions[:, row, a:b].T for row, a, b in spans]).permute(
                2, 0, 1
            ),
        }


def _pad(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_side="left")


def _last_position(prompts: dict[str, torch.Tensor]) -> torch.Tensor:
    return prompts["position_ids"][:, :, -1:].amax(dim=0, keepdim=True)


def _continue(
    model: Any, step: dict[str, Any], banned: list[int], max_new_tokens: int, choose: Choose
) -> list[list[int]]:
    stops = torch.tensor(model.generation_config.eos_token_id, device=model.device).reshape(-1)
    position = _last_position(step)
    unfinished = torch.ones(position.shape[1], dtype=torch.bool, device=model.device)
    written: list[list[int]] = [[] for _ in unfinished]
    for _ in range(max_new_tokens):
        logits = model(**step, use_cache=True, logits_to_keep=1).logits[:, -1]
        logits[:, banned] = -torch.inf
        tokens = choose(logits)
        for row, token in enumerate(tokens.tolist()):
            if unfinished[row]:
                written[row].append(token)
        unfinished &= ~torch.isin(tokens, stops)
        if not unfinished.any():
            break
        position = position + 1
        mask = step["attention_mask"]
        step = {
            "input_ids": tokens[:, None],
            "attention_mask": torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1),
            "position_ids": position.expand(3, -1, -1),
            "past_key_values": step["past_key_values"],
        }
    return written
