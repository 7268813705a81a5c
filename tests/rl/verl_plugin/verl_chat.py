"""A question about a video, as verl's agent loop hands it to the processor."""

from typing import Any

from verl.utils.tokenizer import build_multimodal_processor_inputs


def encode(processor: Any, text: str, video: Any) -> Any:
    """Token ids, pixels, grids and seconds per patch of one chat."""
    content = [{"type": "video"}, {"type": "text", "text": text}]
    chat = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    return build_multimodal_processor_inputs(
        processor, text=[chat], videos=[video], mm_processor_kwargs={"do_resize": False}
    )
