"""What a handler forks ends with the handler, and leaves the attempt to the worker."""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any, NoReturn

import pytest

from taskq.task import Completed
from tests.unit.handling import run


def leave(how: Any) -> str:
    if isinstance(how, BaseException):
        raise how
    return "the child goes on as the worker"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (None, 0),
        (SystemExit(), 0),
        (SystemExit(3), 3),
        (SystemExit(-1), 255),
        (SystemExit("gone"), 1),
        (ValueError("of the child"), 1),
        (KeyboardInterrupt(), 1),
    ],
    ids=repr,
)
def test_a_forked_child_that_leaves_the_handler_exits_as_a_program_does(how: Any, code: int) -> None:
    def handler() -> Any:
        pid = os.fork()
        if pid == 0:
            return leave(how)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert run(handler) == Completed(str(code).encode())


def test_it_exits_though_its_streams_cannot_be_used() -> None:
    class Broken:
        def write(self, _: str) -> NoReturn:
            raise ValueError("closed")

        flush = write

    def handler() -> Any:
        pid = os.fork()
        if pid == 0:
            sys.stdout = sys.stderr = Broken()
            raise ValueError("of the child")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert run(handler) == Completed(b"1")


def test_a_child_that_was_forked_behind_the_back_of_python_exits_too() -> None:
    def handler() -> Any:
        pid = ctypes.PyDLL(None).fork()
        if pid == 0:
            return "the child goes on as the worker"
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert run(handler) == Completed(b"0")
