"""What torchrun starts on each device, in the place of LLaMA-Factory's own `launcher.py`."""

from llamafactory.train.tuner import run_exp

from reward_plugins import positions, vision
from reward_plugins.llamafactory_plugin import whole

if __name__ == "__main__":
    positions.install()
    vision.install()
    whole.install()
    run_exp()
