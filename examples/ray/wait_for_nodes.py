"""Wait until a Ray cluster has so many nodes: `wait_for_nodes.py <host:port> <nodes> [seconds]`.

Exits with 1, naming what is there, when they don't come in time.
"""

import socket
import sys
import time

import ray


def main(address: str, wanted: int, seconds: float) -> None:
    """Return once `wanted` nodes are alive at `address`."""
    end, alive = time.monotonic() + seconds, 0
    while alive < wanted and time.monotonic() < end:
        if not ray.is_initialized() and answers(address):
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        alive = sum(node["Alive"] for node in ray.nodes()) if ray.is_initialized() else 0
        time.sleep(1)
    if alive < wanted:
        sys.exit(f"{address} has {alive} of {wanted} nodes after {seconds:g} s; see their logs")


def answers(address: str) -> bool:
    """Whether the head is up: Ray itself would knock for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]) if sys.argv[3:] else 300.0)
