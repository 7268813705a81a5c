"""Lets these tests share `eval_fixtures.py` and `fake_server.py` wherever pytest starts."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "data_builders")]
