"""The tray: what a worker leaves there is read by others as it was, or not at all."""

from __future__ import annotations

import mmap

import pytest

from taskq.tray import TRAY_BYTES, Tray, Unsent


def unsent(n: int, result: bytes = b"null") -> Unsent:
    return Unsent("worker", f"id-{n}", n, "echo", result, 0.001 * n)


@pytest.fixture
def memory() -> mmap.mmap:
    return mmap.mmap(-1, 3 * TRAY_BYTES)


def test_what_is_put_there_is_read_in_its_order_and_by_others(memory: mmap.mmap) -> None:
    tray = Tray(memory, TRAY_BYTES)
    results = [unsent(n, b'"\xc3\xa4"') for n in range(3)]

    assert all(tray.put(one) for one in results)

    assert Tray(memory, TRAY_BYTES).read() == results
    assert Tray(memory).read() == Tray(memory, 2 * TRAY_BYTES).read() == []


def test_a_cleared_tray_is_empty_and_filled_from_its_beginning(memory: mmap.mmap) -> None:
    tray = Tray(memory)
    tray.put(unsent(1))
    tray.put(unsent(2))
    tray.clear()
    assert tray.read() == []

    tray.put(unsent(3))

    assert tray.read() == [unsent(3)]


def test_what_has_no_room_is_refused_and_spoils_nothing(memory: mmap.mmap) -> None:
    tray, behind = Tray(memory), Tray(memory, TRAY_BYTES)
    behind.put(unsent(9))
    kept = [unsent(n) for n in range(1000) if tray.put(unsent(n))]

    assert 50 < len(kept) < 1000
    assert not Tray(memory, 2 * TRAY_BYTES).put(unsent(1, bytes(TRAY_BYTES)))
    assert tray.read() == kept
    assert behind.read() == [unsent(9)]


def test_what_is_written_over_while_it_is_read_is_nothing(memory: mmap.mmap) -> None:
    tray = Tray(memory)
    tray.put(unsent(1))
    tray.put(unsent(2))
    memory[8:TRAY_BYTES] = b"\xff" * (TRAY_BYTES - 8)

    assert tray.read() == []
