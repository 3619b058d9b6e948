"""Children that a handler forks end where the handler ends: they must not go on as the worker, and settle its task."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType
from typing import Self

_own_pid = os.getpid()


def _forked() -> None:
    global _own_pid
    _own_pid = os.getpid()


os.register_at_fork(after_in_child=_forked)


class EndOfForks:
    """Frames the call of a handler. A forked child that leaves it exits there, as a Python program that has come to its end:
    with 0, with 1 and a traceback, or as `sys.exit` says."""

    def __enter__(self) -> Self:
        self._pid = _own_pid
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if os.getpid() != self._pid:
            _end(error)


def _end(error: BaseException | None) -> None:
    code = 1
    try:
        code = _exit_code(error)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # whatever the streams say: nothing of the worker may run twice


def _exit_code(error: BaseException | None) -> int:
    if error is None:
        return 0
    if not isinstance(error, SystemExit):
        traceback.print_exception(error)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    sys.stderr.write(f"{error.code}\n")
    return 1
