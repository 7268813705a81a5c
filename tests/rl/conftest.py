"""verl reads its platform while it is imported, so it is chosen before any test module is."""

import os

os.environ.update(
    VERL_PLATFORM="cpu",
    VERL_USE_EXTERNAL_PLUGINS="none",
    TOKENIZERS_PARALLELISM="false",
    HF_HUB_OFFLINE="1",
)
