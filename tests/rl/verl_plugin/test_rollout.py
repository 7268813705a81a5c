"""The rollout server: one batch for all who wait, whatever their order."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch

from reward_plugins.verl_plugin.cpu import rollout
from reward_plugins.verl_plugin.cpu.rollout import CPUServer, WeightsError

SAMPLING = {"temperature": 1.0, "top_p": 1.0, "top_k": -1, "logprobs": True}


@pytest.fixture
def server(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(rollout, "WINDOW", 0.01)
    return CPUServer(str(checkpoint), 6)


async def ask(server: Any, prompts: list[Any], seeds: Any, **params: Any) -> list[Any]:
    requests = [
        server.generate("id", list(p.ids), {**SAMPLING, "seed": s, **params}, video_data=p.videos)
        for p, s in zip(prompts, seeds, strict=True)
    ]
    return await asyncio.gather(*requests)


def test_waiting_requests_are_one_batch_in_any_order(
    server: Any, make_prompt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = []
    original = server._sample
    monkeypatch.setattr(server, "_sample", lambda b: batches.append(len(b)) or original(b))
    a, b = make_prompt("Why?", seed=1), make_prompt("Does the camera pan left?", seed=2)
    first = asyncio.run(ask(server, [a, b, a, b], [1, 2, 3, 4]))
    second = asyncio.run(ask(server, [b, b, a, a], [4, 2, 1, 3]))
    assert batches == [4, 4]
    ids = [output.token_ids for output in first]
    assert [o.token_ids for o in second] == [ids[3], ids[1], ids[0], ids[2]]
    assert ids[0] != ids[2]
    assert all(len(o.token_ids) == len(o.log_probs) <= 6 for o in first)


def test_a_wave_is_one_batch_however_slowly_it_comes(
    server: Any, make_prompt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slowly() -> None:
        asked = []
        for seed in range(3):
            asked.append(asyncio.ensure_future(ask(server, [prompt], [seed], wave=("w", 3))))
            await asyncio.sleep(0.1)  # ten windows
        await asyncio.gather(*asked)

    batches, prompt = [], make_prompt("Why?")
    original = server._sample
    monkeypatch.setattr(server, "_sample", lambda b: batches.append(len(b)) or original(b))
    asyncio.run(slowly())
    assert batches == [3]


def test_new_weights_are_used_and_their_step_is_reported(server: Any, make_prompt: Any) -> None:
    prompt = make_prompt("Why?")
    old = {name: tensor.clone() for name, tensor in server.model.state_dict().items()}
    torch.manual_seed(3)
    new = {name: tensor + torch.randn_like(tensor) * 0.1 for name, tensor in old.items()}
    outputs = []
    for step, weights in ((1, old), (2, new), (3, old)):
        asyncio.run(server.load_weights(weights, step))
        outputs += asyncio.run(ask(server, [prompt], [1]))
    assert outputs[0].token_ids == outputs[2].token_ids != outputs[1].token_ids
    assert [o.extra_fields["global_steps"] for o in outputs] == [1, 2, 3]


def test_weights_of_another_model_are_refused(server: Any) -> None:
    weights = server.model.state_dict() | {"lora_A.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match="lora_A"):
        asyncio.run(server.load_weights(weights, 1))


def test_an_error_reaches_every_request_and_the_next_batch_works(
    server: Any, make_prompt: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def both() -> list[Any]:
        outputs = [server.generate("id", [1, 2], SAMPLING | {"seed": 1}) for _ in range(2)]
        return await asyncio.gather(*outputs, return_exceptions=True)

    with monkeypatch.context() as patch:
        patch.setattr(server, "_sample", lambda batch: 1 / 0)
        assert [type(error) for error in asyncio.run(both())] == [ZeroDivisionError] * 2
    assert asyncio.run(ask(server, [make_prompt("Why?")], [1]))[0].token_ids


def test_truncated_sampling_is_refused(server: Any, make_prompt: Any) -> None:
    with pytest.raises(ValueError, match="top_p"):
        asyncio.run(ask(server, [make_prompt("Why?")], [1], top_p=0.9))


def test_a_request_without_a_seed_is_refused(server: Any) -> None:
    with pytest.raises(ValueError, match="video_agent"):
        asyncio.run(server.generate("id", [1, 2], SAMPLING))
