"""vLLM's CPU build as a rollout server.

A private hook (vllm 0.24, _custom_ops.py, `_supports_onednn`): where oneDNN is at hand, vLLM packs
the weights away for it once they are loaded, and those that the trainer sends have nowhere to go.
"""

from types import ModuleType

from reward_plugins.imports import after_import


def keep_weights(operations: ModuleType) -> None:
    """Have linear layers compute with the weights as they are."""
    operations._supports_onednn = False  # type: ignore[attr-defined]


after_import("vllm._custom_ops", keep_weights)
