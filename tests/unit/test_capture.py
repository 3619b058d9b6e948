"""Where the standard streams of a worker lead, tried in a forked process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import pytest

from taskq import output
from taskq.worker.capture import LEAST_FD, Capture

KEPT = 1 << 16


def in_a_child(use: Callable[[Capture], Any]) -> Any:
    """What `use` returns in a process whose output is captured."""

    def child(pipe: Connection) -> None:
        sys.stdout, sys.stderr = (open(fd, "w", closefd=False) for fd in (1, 2))  # noqa: SIM115 - those of pytest are no files
        capture = Capture(output.create(), KEPT)
        capture.install(signal.SIGUSR1)
        pipe.send(use(capture))

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    theirs.close()
    try:
        assert ours.poll(20), "the process said nothing"
        return ours.recv()
    finally:
        process.join()
        ours.close()


def text_of(capture: Capture) -> str:
    return output.run_of(capture.finish())[1].decode()


def test_what_was_printed_is_found_at_the_end() -> None:
    def use(capture: Capture) -> str:
        print("one")
        print("without an end", end="")
        os.write(2, b"two\n")
        return text_of(capture)

    assert in_a_child(use) == "one\ntwo\nwithout an end"


def test_the_next_attempt_begins_with_nothing() -> None:
    def use(capture: Capture) -> list[str]:
        print("first")
        found = [text_of(capture)]
        capture.empty()
        found.append(text_of(capture))
        print("second")
        return [*found, text_of(capture)]

    assert in_a_child(use) == ["first\n", "", "second\n"]


def test_what_cannot_be_encoded_is_printed_all_the_same() -> None:
    def use(capture: Capture) -> str:
        print("ä \ud800")
        return text_of(capture)

    assert in_a_child(use) == "ä \\ud800\n"


def test_our_descriptors_are_out_of_the_way() -> None:
    assert min(in_a_child(lambda capture: [capture.fd, capture.log_fd, capture.error_fd])) >= LEAST_FD


def close(capture: Capture) -> None:
    os.close(capture.fd)


def replace(capture: Capture) -> None:
    other = os.memfd_create("other")
    os.write(other, b"precious")
    os.dup2(other, capture.fd)


@pytest.mark.parametrize("spoil", [close, replace])
def test_a_descriptor_that_is_no_longer_ours_is_neither_read_nor_emptied(spoil: Callable[[Capture], None]) -> None:
    def use(capture: Capture) -> tuple[Any, int]:
        print("printed")
        spoil(capture)
        found = capture.finish()
        capture.empty()
        return found, os.fstat(capture.fd).st_size if spoil is replace else 8

    assert in_a_child(use) == ((), 8)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_streams_that_a_handler_has_closed_do_no_harm(name: str) -> None:
    def use(capture: Capture) -> str:
        getattr(sys, name).close()
        os.write(capture.fd, b"said")
        return text_of(capture)

    assert in_a_child(use) == "said"


def test_after_release_standard_error_is_what_it_was() -> None:
    def use(capture: Capture) -> bool:
        capture.release()
        return os.path.samestat(os.fstat(2), os.fstat(capture.error_fd))

    assert in_a_child(use)
