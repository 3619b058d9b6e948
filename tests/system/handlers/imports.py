"""A task type that tells what its worker has imported after its fork."""

from __future__ import annotations

import os
import sys

from taskq import task

_at_fork: set[str] = set()


def _forked() -> None:
    if not _at_fork:
        _at_fork.update(sys.modules)


os.register_at_fork(after_in_child=_forked)


@task("imports")
def imports() -> list[str]:
    return sorted(sys.modules.keys() - _at_fork) if _at_fork else ["nothing was noted"]
