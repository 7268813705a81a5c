"""Options' probabilities are those of a plain forward pass, one question and option at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from noise import make_samples

from data_builders.frames import FrameIndex
from data_builders.specs import PromptSpec
from orchestrator.evaluation.engines import Request, hf, make_request
from orchestrator.evaluation.engines.hf import HuggingFaceEngine, load
from orchestrator.evaluation.engines.options import find_options
from orchestrator.evaluation.engines.shared_prefix import Generated, generate
from orchestrator.evaluation.engines.vllm import VllmEngine, make_prompt


@pytest.fixture(scope="module")
def engine(workspace: Path) -> HuggingFaceEngine:
    return load(workspace / "model", max_new_tokens=12)


@pytest.fixture
def batch(index: FrameIndex) -> list[Request]:
    return [
        make_request(sample, sample.media, index, PromptSpec(system="Be brief."))
        for sample in make_samples()
    ]


END = "<|im_end|>"
TRACES: list[tuple[str, ...]] = [
    ("<observation>\N{BLACK STAR} is seen</observation><think>t</think><answer>B</answer>", END),
    ("<think>t</think><answer>", "B", "</answer>", END),
    ("<think>t</think><answer>  ", "A", END),
    ("<answer>", END),
    ("Yes, it does.", END),
    (END,),
    ("<observation>cut off",),
]


def written(engine: HuggingFaceEngine, trace: Sequence[str], length: int) -> list[int]:
    """At most so many tokens, each piece by itself: policies need not write as tokenizers do."""
    encode = engine.processor.tokenizer.encode
    row = [token for piece in trace for token in encode(piece, add_special_tokens=False)]
    return (row if trace[-1] == END else row + [0] * length)[:length]


class Dictated:
    """A model that writes what it is told to."""

    def __init__(self, model: Any, rows: list[list[int]]) -> None:
        self.own = model
        self.steps = iter(zip_longest(*rows, fillvalue=0))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own, name)

    def __call__(self, **inputs: Any) -> Any:
        output = self.own(**inputs)
        if "past_key_values" in inputs:  # else it reads what the prompts share
            tokens = list(next(self.steps))
            output.logits[range(len(tokens)), -1, tokens] = torch.inf
        return output


def plain(engine: HuggingFaceEngine, request: Request, ids: Sequence[int]) -> torch.Tensor:
    """Log-probabilities of each next token, `(len(ids), V)`, without cache, batch or padding."""
    inputs = engine.inputs([request])
    embeddings = inputs.pop("inputs_embeds")
    positions, _ = engine.model.model.get_rope_index(**inputs)
    new = torch.tensor([list(ids)], dtype=torch.long)
    after = positions[:, :, -1:] + 1 + torch.arange(len(ids))
    with torch.inference_mode():
        logits = engine.model(
            inputs_embeds=torch.cat([embeddings, engine.model.get_input_embeddings()(new)], dim=1),
            position_ids=torch.cat([positions, after], dim=2),
        ).logits[0]
    return logits[-len(ids) - 1 : -1].log_softmax(dim=-1)


def by_hand(engine: HuggingFaceEngine, request: Request, row: list[int]) -> list[float] | None:
    """Each option's tokens in place of the answer's, scored in a pass of their own."""
    options = find_options(row, request.letters, request.tags, engine.processor.tokenizer)
    if options is None:
        return None
    chances = []
    for option in options.tokens:
        ids = [*row[: options.kept], *option]
        logs = plain(engine, request, ids)[options.kept :]
        chances.append(math.exp(float(logs[range(len(option)), list(option)].sum())))
    return chances


def test_what_a_random_policy_writes_is_scored_where_it_starts(
    engine: HuggingFaceEngine, batch: list[Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Generated] = []

    def kept(*arguments: Any) -> Generated:
        found.append(generate(*arguments))
        return found[-1]

    monkeypatch.setattr(hf, "generate", kept)
    answers = engine.answer(batch)
    for request, row, answer in zip(batch, found[0].tokens, answers, strict=True):
        assert answer.probabilities == pytest.approx(by_hand(engine, request, row), rel=1e-4)
    assert len({tuple(answer.probabilities) for answer in answers}) == len(batch)


@pytest.mark.parametrize("letters", [("A", "B"), ("A", "B", "C", "D"), ("left", "up and right")])
def test_a_trace_is_scored_at_its_answer(
    engine: HuggingFaceEngine,
    batch: list[Request],
    letters: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of traces of all lengths in one batch, and of options of several tokens."""
    rows = [written(engine, trace, 40) for trace in TRACES]
    asked = [one._replace(letters=letters) for one in batch[: len(rows)]]

    def dictate(model: Any, *arguments: Any) -> Generated:
        generated = generate(Dictated(model, rows), *arguments)
        generated.model = model
        return generated

    monkeypatch.setattr(engine, "max_new_tokens", 40)
    monkeypatch.setattr(hf, "generate", dictate)
    for request, row, given in zip(asked, rows, engine.answer(asked), strict=True):
        assert given.tokens == len(row)
        expected = by_hand(engine, request, row)
        assert given.probabilities == (expected and pytest.approx(expected, rel=1e-4, abs=0))
    assert given.probabilities is None  # the last is cut off


def test_without_letters_nothing_is_asked(engine: HuggingFaceEngine, batch: list[Request]) -> None:
    [answer] = engine.answer([batch[0]._replace(letters=())])
    assert answer.probabilities is None


class StubVllm:
    """vLLM 0.24's `LLM.generate`: first what the policy writes, then log-probabilities on it."""

    def __init__(self, engine: HuggingFaceEngine, batch: list[Request], rows: list[list[int]]):
        self.engine, self.batch, self.rows = engine, batch, rows

    def generate(self, prompts: list[dict[str, Any]], sampling: Any, use_tqdm: bool) -> list[Any]:
        if "prompt" in prompts[0]:
            assert sampling["max_tokens"] == 40 and sampling["temperature"] == 0
            return [self.output(token_ids=row, text="") for row in self.rows]
        pairs = zip(prompts, sampling, strict=True)
        return [self.output(logprobs=[self.logs(*pair)]) for pair in pairs]

    def output(self, **written: Any) -> Any:
        return SimpleNamespace(outputs=[SimpleNamespace(**written)], prompt_token_ids=None)

    def logs(self, prompt: dict[str, Any], sampling: dict[str, Any]) -> dict[int, Any]:
        assert sampling["max_tokens"] == 1
        [key] = prompt["multi_modal_uuids"]["video"]
        ids = prompt["prompt_token_ids"]
        for request in self.batch:
            own = self.engine.processor.tokenizer.encode(
                make_prompt(request, self.engine.processor)["prompt"]
            )
            if request.clips[0].meta.key == key and ids[: len(own)] == own:
                [*_, last] = plain(self.engine, request, [*ids[len(own) :], 0])
                return {
                    t: SimpleNamespace(logprob=float(last[t]))
                    for t in sampling["logprob_token_ids"]
                }
        raise AssertionError("a prompt of no request")


@pytest.mark.parametrize("letters", [("A", "B"), ("left", "up and right")])
def test_vllm_is_asked_for_the_same(
    engine: HuggingFaceEngine, batch: list[Request], letters: tuple[str, ...]
) -> None:
    rows = [written(engine, trace, 40) for trace in TRACES]
    asked = [one._replace(letters=letters) for one in batch[: len(rows)]]
    stub = StubVllm(engine, asked, rows)
    served = VllmEngine(stub, engine.processor, partial(dict, temperature=0), 40)
    for request, row, given in zip(asked, rows, served.answer(asked), strict=True):
        expected = by_hand(engine, request, row)
        assert given.probabilities == (expected and pytest.approx(expected, rel=1e-4, abs=0))
