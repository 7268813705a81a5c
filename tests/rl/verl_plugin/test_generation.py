"""The padded batch says what each request alone would say."""

from typing import Any

import pytest
import torch

from reward_plugins.verl_plugin.cpu.generation import VISION_TOKENS, Prompt, _vision_inputs, sample

TEXTS = ["Does the camera pan left in this video?", "Why?", "The view stays. Nothing moves. yes"]


def greedy_alone(model: Any, processor: Any, prompt: Prompt, tokens: int) -> list[int]:
    ids = torch.tensor([prompt.ids])
    suppressed = [f"<|{name}|>" for name in VISION_TOKENS]
    model.model.rope_deltas = None
    output = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=tokens,
        do_sample=False,
        suppress_tokens=processor.tokenizer.convert_tokens_to_ids(suppressed),
        **_vision_inputs(processor, [prompt], ids),
    )
    return output[0, ids.shape[1] :].tolist()


def test_greedy_batch_equals_one_at_a_time(model: Any, processor: Any, make_prompt: Any) -> None:
    prompts = [
        make_prompt(text, fps, frames, seed)
        for seed, (text, fps, frames) in enumerate(
            zip(TEXTS, (1.0, 2.0, 4.0), (8, 4, 6), strict=True)
        )
    ]
    batch = sample(model, processor, prompts, [0, 1, 1, 2], [0, 0, 0, 0], 0.0, 12)
    alone = [greedy_alone(model, processor, prompt, 12) for prompt in prompts]
    assert [r.ids for r in batch] == [alone[0], alone[1], alone[1], alone[2]]


def test_a_response_depends_on_its_prompt_and_seed_only(
    model: Any, processor: Any, make_prompt: Any
) -> None:
    prompts = [make_prompt(text, seed=seed) for seed, text in enumerate(TEXTS)]
    rows, seeds = [0, 0, 1, 2], [3, 4, 5, 6]
    batch = sample(model, processor, prompts, rows, seeds, 1.0, 8)
    for row, seed, response in zip(rows, seeds, batch, strict=True):
        (alone,) = sample(model, processor, [prompts[row]], [0], [seed], 1.0, 8)
        assert alone.ids == response.ids
        assert alone.log_probs == pytest.approx(response.log_probs, abs=1e-4)
    assert batch[0].ids != batch[1].ids


@pytest.mark.parametrize("temperature", [1.0, 0.3])
def test_samples_follow_the_distribution(
    model: Any, processor: Any, make_prompt: Any, temperature: float
) -> None:
    prompt, count = make_prompt(TEXTS[0]), 4000
    responses = sample(model, processor, [prompt], [0] * count, range(count), temperature, 1)
    first = torch.tensor([response.ids[0] for response in responses])
    log_probs = torch.tensor([response.log_probs[0] for response in responses])
    probability = torch.zeros(model.config.text_config.vocab_size)
    probability[first] = log_probs.exp()
    frequency = torch.bincount(first, minlength=len(probability)) / count
    likely = probability > 0.01
    assert likely.any()
    deviation = (frequency - probability).abs() / (probability / count).sqrt()
    assert float(deviation[likely].max()) < 5.0


def test_no_response_holds_a_vision_token(model: Any, processor: Any, make_prompt: Any) -> None:
    responses = sample(model, processor, [make_prompt("")], [0] * 200, range(200), 5.0, 8)
    forbidden = processor.tokenizer.convert_tokens_to_ids([f"<|{n}|>" for n in VISION_TOKENS])
    assert not {token for response in responses for token in response.ids} & set(forbidden)


def test_responses_stop_at_the_end_of_turn(model: Any, processor: Any, make_prompt: Any) -> None:
    ends = set(model.generation_config.eos_token_id)
    responses = sample(model, processor, [make_prompt("")], [0] * 100, range(100), 5.0, 40)
    for response in responses:
        assert not ends & set(response.ids[:-1]) and len(response.ids) == len(response.log_probs)
    assert any(len(response.ids) < 40 for response in responses)


def test_a_prompt_without_its_video_is_an_error(
    model: Any, processor: Any, make_prompt: Any
) -> None:
    prompt = make_prompt(TEXTS[0])
    broken = Prompt(prompt.ids[:-20], make_prompt(TEXTS[0], frames=4).videos)
    with pytest.raises(ValueError, match="video tokens"):
        sample(model, processor, [broken], [0], [0], 1.0, 4)
