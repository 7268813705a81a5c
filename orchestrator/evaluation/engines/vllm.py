"""vLLM 0.24, offline: greedy, prefix and encoder caches shared by the questions on a clip.

vLLM numbers time in its own way (vllm/model_executor/models/qwen2_5_vl.py): it keeps fractions of
a second between patches, which transformers 5.6 to 5.12 cut off, and text goes on after the
video's largest position in any dimension. A policy trained on transformers' numbers is therefore
shifted by a few positions here; one reinforced with vLLM rollouts is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoProcessor
from vllm import LLM, SamplingParams

from orchestrator.evaluation.engines import EngineError, Outcome, Request, Response


def load(checkpoint: Path, max_new_tokens: int) -> VllmEngine:
    """Read a checkpoint onto the GPU; `EngineError` where vLLM can't."""
    try:
        processor = AutoProcessor.from_pretrained(checkpoint)
        model = LLM(
            model=str(checkpoint),
            # The checkpoint's own; by default vLLM halves float32.
            dtype=AutoConfig.from_pretrained(checkpoint).dtype or "auto",
            enable_prefix_caching=True,
            limit_mm_per_prompt={"video": 1, "image": 0},
            # The frames are the recipe's already: neither sampled nor scaled again.
            mm_processor_kwargs={"do_sample_frames": False, "do_resize": False},
            seed=0,
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(f"{checkpoint} does not load into vLLM: {error}") from error
    return VllmEngine(model, processor, max_new_tokens)


class VllmEngine:
    """Greedy decoding; vLLM schedules the batch itself."""

    def __init__(self, model: Any, processor: Any, max_new_tokens: int) -> None:
        self.model, self.processor = model, processor
        video_token = processor.tokenizer.convert_tokens_to_ids(processor.video_token)
        self.sampling = SamplingParams(
            temperature=0.0, max_tokens=max_new_tokens, logit_bias={video_token: -100.0}
        )

    def answer(self, batch: Sequence[Request]) -> list[Outcome]:
        """One greedy response a request; `EngineError` for a prompt that vLLM refuses."""
        prompts = [self.prompt(request) for request in batch]
        try:
            outputs = self.model.generate(prompts, self.sampling, use_tqdm=False)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{type(error).__name__}: {error}") from error
        answers = [output.outputs[0] for output in outputs]
        return [Response(answer.text, len(answer.token_ids)) for answer in answers]

    def prompt(self, request: Request) -> dict[str, Any]:
        """A request as vLLM takes it; the frames' key lets its caches know the clip again."""
        turns = [{"role": "system", "content": request.system}] if request.system else []
        content = [{"type": "video"}, {"type": "text", "text": request.text}]
        text = self.processor.apply_chat_template(
            [*turns, {"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
        )
        metadata = {**request.meta.metadata(), "do_sample_frames": False}
        return {
            "prompt": text,
            "multi_modal_data": {"video": (request.frames, metadata)},
            "multi_modal_uuids": {"video": [request.meta.key]},
        }
