"""vLLM 0.24, offline: greedy, prefix and encoder caches shared by the questions on a clip.

vLLM drops the frame rate of decoded frames for Qwen2.5-VL (vllm/multimodal/parse.py:663) and its
processor then takes 24 frames a second: all of a short clip would happen at once. The rate is
therefore named again as an argument of the processor, as in rollouts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoConfig, AutoProcessor

from orchestrator.evaluation.engines import (
    GREEDY,
    EngineError,
    Outcome,
    Request,
    Response,
    Sampling,
)
from orchestrator.evaluation.engines.options import Head, find_options
from reward_plugins import weights

AS_THEY_ARE = {"do_sample_frames": False, "do_resize": False}
"""The frames are the recipe's already: neither sampled nor scaled again."""
MOST_VIDEOS = 4
"""That a question shows: the more vLLM must expect, the shorter the longest that it takes."""


def load(
    checkpoint: Path, max_new_tokens: int, sampling: Sampling = GREEDY, **settings: Any
) -> VllmEngine:
    """Read a checkpoint onto the GPU, under further `settings` of vLLM's `LLM`; `EngineError` where
    vLLM can't.
    """
    from vllm import LLM, SamplingParams  # here: prompts are made and tested without it

    try:
        weights.check(checkpoint)
        processor = AutoProcessor.from_pretrained(checkpoint)
        ours = {
            # The checkpoint's own; by default vLLM halves float32.
            "dtype": AutoConfig.from_pretrained(checkpoint).dtype or "auto",
            "enable_prefix_caching": True,
            "limit_mm_per_prompt": {"video": MOST_VIDEOS},  # and images as many as vLLM allows
            "mm_processor_kwargs": AS_THEY_ARE,
            "seed": sampling.seed,
        }
        model = LLM(str(checkpoint), **{**ours, **settings})
        # Where this is a child process: it waits at its end for vLLM's own one, which waits for it.
        Finalize(None, model.llm_engine.engine_core.shutdown, exitpriority=100)
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(f"{checkpoint} does not load into vLLM: {error}") from error
    choose = partial(SamplingParams, temperature=sampling.temperature, top_p=sampling.top_p)
    return VllmEngine(model, processor, choose, max_new_tokens)


class VllmEngine:
    """Greedy decoding; vLLM schedules the batch itself."""

    def __init__(
        self, model: Any, processor: Any, sampling: Callable[..., Any], max_new_tokens: int
    ) -> None:
        self.model, self.processor, self.sampling = model, processor, sampling
        visual = [processor.video_token, processor.image_token]
        banned = dict.fromkeys(processor.tokenizer.convert_tokens_to_ids(visual), -100.0)
        self.greedy = sampling(max_tokens=max_new_tokens, logit_bias=banned)

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One greedy response a request; `EngineError` for a prompt that vLLM refuses."""
        prompts = [make_prompt(request, self.processor) for request in batch]
        try:
            outputs = self.model.generate(prompts, self.greedy, use_tqdm=False)
            chances = self._probabilities(batch, prompts, outputs)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{type(error).__name__}: {error}") from error
        return [_response(*each) for each in zip(outputs, chances, strict=True)]

    def _probabilities(
        self, batch: Sequence[Request], prompts: Sequence[dict[str, Any]], outputs: Sequence[Any]
    ) -> list[list[float] | None]:
        """Of each request's options: one further token, behind what the prefix cache holds."""
        tokenizer = self.processor.tokenizer
        written = [list(output.outputs[0].token_ids) for output in outputs]
        found = [
            find_options(row, request.letters, request.tags, tokenizer)
            for row, request in zip(written, batch, strict=True)
        ]
        jobs = [
            (row, options, head)
            for row, options in enumerate(found)
            if options
            for head in options.heads
        ]
        asked = [
            _behind(prompts[row], [*written[row][: options.kept], *head], tokenizer)
            for row, options, head in jobs
        ]
        wanted = [
            self.sampling(max_tokens=1, logprob_token_ids=options.behind(head))
            for _, options, head in jobs
        ]
        given = self.model.generate(asked, wanted, use_tqdm=False) if jobs else []
        logs: dict[int, dict[Head, dict[int, float]]] = defaultdict(dict)
        for (row, _, head), output in zip(jobs, given, strict=True):
            [first] = output.outputs[0].logprobs
            logs[row][head] = {token: each.logprob for token, each in first.items()}
        return [options and options.probabilities(logs[row]) for row, options in enumerate(found)]


def _behind(prompt: dict[str, Any], tokens: Sequence[int], tokenizer: Any) -> dict[str, Any]:
    """`prompt` with `tokens` after it, which only a prompt of tokens can say exactly."""
    media = {key: value for key, value in prompt.items() if key != "prompt"}
    ids = tokenizer.encode(prompt["prompt"], add_special_tokens=False)
    return {**media, "prompt_token_ids": [*ids, *tokens]}


def make_prompt(request: Request, processor: Any) -> dict[str, Any]:
    """A request as vLLM takes it; the frames' key lets its caches know the clip again."""
    text = processor.apply_chat_template(
        request.messages(), tokenize=False, add_generation_prompt=True
    )
    videos = [clip for clip in request.clips if clip.meta.shown == "video"]
    images = [
        (f"{clip.meta.key}/{number}", Image.fromarray(frame))
        for clip in request.clips
        if clip.meta.shown == "image"
        for number, frame in enumerate(clip.frames)
    ]
    told = [clip.meta.metadata() for clip in videos]
    seen = [(clip.frames, {**own, **AS_THEY_ARE}) for clip, own in zip(videos, told, strict=True)]
    keys = {"video": [c.meta.key for c in videos], "image": [key for key, _ in images]}
    shown = {"video": seen, "image": [picture for _, picture in images]}
    return {
        "prompt": text,
        "multi_modal_data": {kind: items for kind, items in shown.items() if items},
        "multi_modal_uuids": {kind: names for kind, names in keys.items() if names},
        "mm_processor_kwargs": {**AS_THEY_ARE, **({"video_metadata": told} if told else {})},
    }


def _response(output: Any, probabilities: list[float] | None) -> Outcome:
    answer, prompt = output.outputs[0], output.prompt_token_ids or ()
    return Response(answer.text, len(answer.token_ids), len(prompt), probabilities)
