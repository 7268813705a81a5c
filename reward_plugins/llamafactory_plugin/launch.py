"""LLaMA-Factory's command line, every process of which numbers tokens as `positions` does.

A private hook: for torchrun, LLaMA-Factory names its own file as what each worker runs (0.9.5,
launcher.py:124 and 147, `__file__`); here that is `worker.py` beside this one, which does the same.
"""

from pathlib import Path

from llamafactory import launcher

from reward_plugins import positions

WORKER = Path(__file__).with_name("worker.py")

if __name__ == "__main__":
    positions.install()
    launcher.__file__ = str(WORKER)
    launcher.launch()
