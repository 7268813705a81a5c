"""What our agent loop adds to verl's: seeds for the CPU's responses, positions for all."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayError
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from reward_plugins.verl_plugin.agent_loop import MEDIA, VideoAgentLoop, rope_index_kwargs
from reward_plugins.verl_plugin.faults import GenerationError


@pytest.fixture
def loop_for(monkeypatch: pytest.MonkeyPatch) -> Any:
    def init(self: Any, processor: Any, rollout: str) -> None:
        self.processor = processor
        self.rollout_config = SimpleNamespace(name=rollout, seed=42, repetition_penalty=1.1)
        self.mm_processor_kwargs = {"do_resize": False}

    async def run(self: Any, sampling_params: dict[str, Any], **_: Any) -> Any:
        return sampling_params

    async def media(self: Any, messages: Any) -> Any:
        return {"videos": [("frames", metadata) for metadata in messages]} if messages else {}

    monkeypatch.setattr(SingleTurnAgentLoop, "__init__", init)
    monkeypatch.setattr(SingleTurnAgentLoop, "process_multi_modal_info", media)
    monkeypatch.setattr(SingleTurnAgentLoop, "run", run)
    return VideoAgentLoop


def test_each_response_has_a_seed_of_its_own_that_repeats(loop_for: Any) -> None:
    def seed(uid: str, session: int) -> int:
        loop = loop_for(SimpleNamespace(), "hf_cpu")
        given = {"temperature": 0.7}
        params = asyncio.run(loop.run(given, uid=uid, session_id=session))
        assert params["temperature"] == 0.7 and "seed" not in given
        return int(params["seed"])

    assert seed("1-0", 0) == seed("1-0", 0)
    assert len({seed("1-0", 0), seed("1-0", 1), seed("1-1", 0), seed("2-0", 0)}) == 4


def test_the_actor_is_told_the_seconds_and_vllm_gets_no_seed(loop_for: Any) -> None:
    processor = SimpleNamespace()
    loop = loop_for(processor, "vllm")
    assert processor.get_rope_index_kwargs is rope_index_kwargs
    given = {"temperature": 1.0, "repetition_penalty": 1.0}  # verl's, whatever its config says
    params = asyncio.run(loop.run(given, uid="1-0", session_id=0))
    assert params == {"temperature": 1.0, "repetition_penalty": 1.1}


def in_group(*reads: Any) -> list[Any]:
    async def group() -> list[Any]:
        MEDIA.set({})
        return await asyncio.gather(*reads)

    return asyncio.run(group())


def test_the_responses_of_a_group_share_what_one_of_them_read(loop_for: Any) -> None:
    loops = [loop_for(SimpleNamespace(), "vllm") for _ in range(3)]
    media = in_group(*(loop.process_multi_modal_info([{"fps": n}]) for n, loop in enumerate(loops)))
    assert media[0] == media[1] == media[2] and media[0] is not media[1]
    assert [loop.video_metadata for loop in loops] == [[{"fps": 0}]] * 3


def test_a_failure_of_the_server_is_told_from_others(
    loop_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Any, sampling_params: dict[str, Any], *, error: Exception) -> Any:
        raise error

    monkeypatch.setattr(SingleTurnAgentLoop, "run", fail)
    loop = loop_for(SimpleNamespace(), "vllm")
    for error, kind in ((RayError("gone"), GenerationError), (KeyError("x"), KeyError)):
        with pytest.raises(kind):
            asyncio.run(loop.run({}, error=error))


@pytest.mark.parametrize("rollout", ["vllm", "hf_cpu"])
def test_only_vllm_is_told_the_frame_rate_twice(loop_for: Any, rollout: str) -> None:
    loop = loop_for(SimpleNamespace(), rollout)
    in_group(loop.process_multi_modal_info([{"fps": 1.0}]))
    twice = {"video_metadata": [{"fps": 1.0}], "do_sample_frames": False}
    expected = {"do_resize": False, **(twice if rollout == "vllm" else {})}
    assert loop._get_mm_processor_kwargs() == expected
    in_group(loop.process_multi_modal_info([]))
    assert loop._get_mm_processor_kwargs() == {"do_resize": False}
