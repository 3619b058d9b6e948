"""The process of a service that a test has started: `python -m taskq.testing.host PID ...` is `taskq ...` that ends when
the process PID does, and then removes the directory that it runs in, whatever became of the test."""

from __future__ import annotations

import os
import shutil
import signal
import sys

from taskq.__main__ import main
from taskq.children import die_with_parent


def host() -> None:
    """Run the command line that follows the pid of the parent."""
    parent = int(sys.argv.pop(1))
    own, directory = os.getpid(), os.getcwd()
    die_with_parent(parent, signal.SIGTERM)
    try:
        main()
    finally:
        if os.getpid() == own and os.getppid() != parent:  # else the parent, which wants to read the log, does it
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    host()
