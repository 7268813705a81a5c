"""Wait until a Ray cluster has so many nodes: `wait_for_nodes.py <host:port> <nodes> [seconds]`.

Exits with 1, naming what is there, when they don't come in time.
"""

import sys
import time

import ray


def main(address: str, wanted: int, seconds: float) -> None:
    """Return once `wanted` nodes are alive at `address`."""
    end, alive = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except ConnectionError:  # the head is not up yet
            time.sleep(1)
            continue
        while time.monotonic() < end:
            alive = sum(node["Alive"] for node in ray.nodes())
            if alive >= wanted:
                return
            time.sleep(1)
    sys.exit(f"{address} has {alive} of {wanted} nodes after {seconds:g} s; see their logs")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else 300.0)
