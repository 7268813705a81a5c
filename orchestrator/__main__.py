"""`camreasoner`, or `python -m orchestrator`: <verb> recipe=<name> key=value ..."""

import sys

from orchestrator.cli import main as run


def main() -> None:
    """Run the command line of this process, and exit."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
