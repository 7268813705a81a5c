"""What verl loads in every process, named by `VERL_USE_EXTERNAL_MODULES`.

Importing this module registers, in verl's own registries, the advantage estimator `ema_grpo`, the
trainer mode `sync_ema`, the agent loop `video_agent` and, when `VERL_PLATFORM=cpu`, all that a run
without an accelerator needs; and has the process number tokens as `positions` does, see rows of
all kinds as `vision` does, and keep what `freezing` is told to. No file of verl is changed.
"""

import importlib
import os

# The platform comes first: other modules of verl ask for it while they are imported.
if os.environ.get("VERL_PLATFORM") == "cpu":
    importlib.import_module("reward_plugins.verl_plugin.cpu")

from verl.models.transformers import qwen2_vl

from reward_plugins import positions, vision
from reward_plugins.verl_plugin import agent_loop, estimator, freezing, trainer

__all__ = ["agent_loop", "estimator", "trainer"]

positions.install()
freezing.install()
qwen2_vl._get_input_embeds = vision.embed
