"""A whole verl run without an accelerator: platform, training engine and rollout server."""

# The platform comes first: other modules of verl ask for it while they are imported.
from reward_plugins.verl_plugin.cpu import platform  # isort: skip
from reward_plugins.verl_plugin.cpu import engine, registry, vllm

__all__ = ["engine", "platform", "registry", "vllm"]
