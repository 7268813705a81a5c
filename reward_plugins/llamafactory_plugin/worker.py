"""What torchrun starts on each device, in the place of LLaMA-Factory's own `launcher.py`."""

from llamafactory.train.tuner import run_exp

from reward_plugins import positions, vision

if __name__ == "__main__":
    positions.install()
    vision.install()
    run_exp()
