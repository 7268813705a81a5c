"""verl's FSDP2 language-model engine, on the CPU."""

from typing import Any

import torch
from verl.workers.engine import EngineRegistry
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead


@EngineRegistry.register(model_type="language_model", backend=["fsdp", "fsdp2"], device="cpu")
class CPUEngineWithLMHead(FSDPEngineWithLMHead):
    """FSDP2 over gloo."""

    def _build_fsdp_module(self, module: torch.nn.Module) -> Any:
        """Wrap `module` without the pinned memory that a reference policy asks for.

        A forward-only engine hard-codes `CPUOffloadPolicy(pin_memory=True)`
        (verl/workers/engine/fsdp/transformer_impl.py:456); pinning needs a CUDA driver.
        """
        config = self.engine_config
        forward_only = config.forward_only
        object.__setattr__(config, "forward_only", False)
        try:
            return super()._build_fsdp_module(module)
        finally:
            object.__setattr__(config, "forward_only", forward_only)
