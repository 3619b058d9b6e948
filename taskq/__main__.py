"""The entry point of the `taskq` command and of `python -m taskq`.

Importing the rest takes a moment. A first process of a container ignores signals it has no handler for, so until the
supervisor has its own a SIGTERM ends the process here.
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    from taskq.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
