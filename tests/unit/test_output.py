"""The file that takes what tasks print."""

from __future__ import annotations

import fcntl
import os
import random
import select
import time
from collections.abc import Iterator

import pytest

from taskq import output
from taskq.output import BLOCK_BYTES, MARGIN_BYTES
from taskq.supervisor.outputs import Outputs

KEPT = 4 * BLOCK_BYTES


@pytest.fixture
def fd() -> Iterator[int]:
    fd = output.create()
    yield fd
    os.close(fd)


def used_bytes(fd: int) -> int:
    return os.fstat(fd).st_blocks * 512


def test_nothing_printed_makes_no_block(fd: int) -> None:
    assert output.size(fd) == 0
    assert output.blocks(fd, KEPT) == []


def test_where_nothing_is_kept_nothing_is_read(fd: int) -> None:
    os.write(fd, b"x")

    assert output.blocks(fd, 0) == []


def test_what_was_printed_is_read_in_blocks(fd: int) -> None:
    data = random.randbytes(BLOCK_BYTES + 10)
    os.write(fd, data)

    assert output.blocks(fd, KEPT) == [(0, data[:BLOCK_BYTES]), (BLOCK_BYTES, data[BLOCK_BYTES:])]


def test_only_blocks_that_have_changed_are_read_again(fd: int) -> None:
    os.write(fd, b"a" * (BLOCK_BYTES + 1))
    os.write(fd, b"b")

    assert output.blocks(fd, KEPT, since=BLOCK_BYTES + 1) == [(BLOCK_BYTES, b"ab")]
    assert output.blocks(fd, KEPT, since=BLOCK_BYTES + 2) == [(BLOCK_BYTES, b"ab")]


def test_the_newest_bytes_are_read_from_the_block_in_which_they_begin(fd: int) -> None:
    os.write(fd, b"x" * (10 * BLOCK_BYTES + 5))

    found = output.blocks(fd, KEPT)

    assert [offset for offset, _ in found] == [BLOCK_BYTES * n for n in range(6, 11)]
    assert sum(len(data) for _, data in found) == KEPT + 5


def test_memory_is_given_back_and_no_offset_moves(fd: int) -> None:
    piece = random.randbytes(1 << 20)
    for _ in range(12):
        os.write(fd, piece)

    assert output.free(fd, KEPT)

    assert output.size(fd) == 12 << 20
    assert used_bytes(fd) <= KEPT + MARGIN_BYTES + BLOCK_BYTES
    assert output.run_of(output.blocks(fd, KEPT)) == ((12 << 20) - KEPT, piece[-KEPT:])


def test_a_small_file_is_left_alone(fd: int) -> None:
    os.write(fd, bytes(KEPT + MARGIN_BYTES))

    assert not output.free(fd, KEPT)
    assert used_bytes(fd) >= KEPT + MARGIN_BYTES


def test_what_is_printed_after_emptying_begins_anew(fd: int) -> None:
    os.write(fd, b"old")
    output.empty(fd)
    os.write(fd, b"new")

    assert output.blocks(fd, KEPT) == [(0, b"new")]


def test_emptying_puts_right_what_a_handler_did_to_the_descriptor(fd: int) -> None:
    os.write(fd, b"a" * 100)
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)

    output.empty(fd)
    os.write(fd, b"new")

    assert output.blocks(fd, KEPT) == [(0, b"new")]


def test_a_file_that_a_handler_has_cut_or_stretched_does_no_harm(fd: int) -> None:
    os.write(fd, b"printed")
    os.ftruncate(fd, 1 << 50)
    assert len(output.run_of(output.blocks(fd, KEPT))[1]) == KEPT
    assert used_bytes(fd) <= 2 * BLOCK_BYTES

    os.ftruncate(fd, 2)
    assert output.blocks(fd, KEPT, since=1 << 40) == [(0, b"pr")]


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([], (0, b"")),
        ([(4, b"cd"), (0, b"abcd")], (0, b"abcdcd")),
        ([(0, b"ab"), (4, b"ef"), (6, b"gh")], (4, b"efgh")),
        ([(8, b"xyz"), (6, b"abcd")], (6, b"abcdz")),
    ],
)
def test_blocks_make_an_unbroken_run_that_ends_with_the_last(blocks: list[output.Block], expected: output.Block) -> None:
    assert output.run_of(blocks) == expected


# -- the files of all workers


@pytest.fixture
def outputs() -> Iterator[Outputs]:
    outputs = Outputs()
    yield outputs
    outputs.keep_only()


def test_a_flood_is_taken_back_while_the_supervisor_sleeps(outputs: Outputs) -> None:
    fd = outputs.create("w")
    os.write(fd, bytes(32 << 20))

    outputs.wait([], time.monotonic() + 0.1, KEPT)

    assert used_bytes(fd) < 8 << 20


def test_what_is_printed_wakes_nobody(outputs: Outputs) -> None:
    fd = outputs.create("w")
    os.write(fd, b"hello")
    until = time.monotonic() + 0.1

    outputs.wait([], until, KEPT)

    assert time.monotonic() >= until


def test_a_message_wakes_at_once(outputs: Outputs) -> None:
    reader, writer = os.pipe()
    os.write(writer, b"!")
    os.write(outputs.create("w"), b"hello")
    began = time.monotonic()

    outputs.wait([reader], began + 60, KEPT)

    assert time.monotonic() - began < 30
    os.close(reader)
    os.close(writer)


def test_without_notice_from_the_kernel_every_file_is_looked_at(outputs: Outputs) -> None:
    outputs.keep_only()
    fd = outputs.create("w")
    os.write(fd, bytes(32 << 20))

    outputs.wait([], time.monotonic() + 0.15, KEPT)

    assert used_bytes(fd) < 8 << 20


def test_a_closed_file_holds_no_memory_whoever_has_it_open(outputs: Outputs) -> None:
    other = os.dup(outputs.create("w"))
    os.write(other, bytes(1 << 20))

    outputs.close("w")

    assert used_bytes(other) == 0
    assert outputs.fd("w") is None
    outputs.close("w")
    os.close(other)


def test_the_end_of_what_a_worker_printed_can_be_told(outputs: Outputs) -> None:
    fd = outputs.create("w")
    assert outputs.tail("w") is None

    os.write(fd, b"x" * 9000 + b"the end\xff")

    tail = outputs.tail("w")
    assert tail is not None
    assert (len(tail), tail[-8:]) == (2000, "the end\ufffd")
    assert outputs.tail("nobody") is None


def test_a_child_keeps_only_its_own_file(outputs: Outputs) -> None:
    mine, other = outputs.create("mine"), outputs.create("other")

    outputs.keep_only("mine")

    os.fstat(mine)
    with pytest.raises(OSError):
        os.fstat(other)
    assert (outputs.fd("mine"), outputs.fd("other")) == (mine, None)


def test_a_writer_never_waits(fd: int) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)

    for _ in range(64):
        assert os.write(fd, bytes(1 << 20)) == 1 << 20
    assert poll.poll(0) == [(fd, select.POLLOUT)]
