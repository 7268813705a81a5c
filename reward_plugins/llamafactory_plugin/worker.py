"""What torchrun starts on each device, in the place of LLaMA-Factory's own `launcher.py`."""

from reward_plugins import positions, vision
from reward_plugins.llamafactory_plugin import cpu, whole

if __name__ == "__main__":
    cpu.install()
    positions.install()
    vision.install()
    whole.install()

    from llamafactory.train.tuner import run_exp  # it asks what the device can do

    run_exp()
