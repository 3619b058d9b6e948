"""The memory that the supervisor shares with its children."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from taskq.supervisor.slots import Board, Running
from taskq.worker.control import State, StopReason


def in_child(action: Callable[[], object]) -> None:
    """Perform an action in a forked child, as a worker would, and wait for its end."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_a_worker_writes_is_read_by_its_parent() -> None:
    slot = Board(2).slot(1)
    before = time.monotonic_ns()

    in_child(lambda: slot.begin("task-1", "image.resize", 3, timeout_s=2.5, memory_limit_bytes=1 << 40))

    found = slot.running()
    assert found is not None
    assert before <= found.started_ns <= time.monotonic_ns()
    assert found == Running(
        serial=1,
        task_id="task-1",
        type="image.resize",
        attempt=3,
        started_ns=found.started_ns,
        deadline_ns=found.started_ns + 2_500_000_000,
        memory_limit_bytes=1 << 40,
    )
    assert slot.state is State.RUNNING


def test_what_the_supervisor_writes_is_read_by_the_worker() -> None:
    board = Board(1)
    slot = board.slot(0)
    slot.order_stop(7, StopReason.MEMORY)
    slot.order_drain()
    board.stop_now = True

    def look() -> None:
        assert slot.stop_order() == (7, StopReason.MEMORY)
        assert slot.draining()
        assert slot.stop_now()

    in_child(look)


def test_slots_do_not_touch_each_other() -> None:
    board = Board(3)
    board.slot(1).begin("x" * 500, "y" * 500, 1, timeout_s=None, memory_limit_bytes=None)
    board.slot(1).order_stop(2**63, StopReason.DRAIN)
    board.slot(1).order_drain()

    for index in (0, 2):
        assert board.slot(index).running() is None
        assert board.slot(index).stop_order() == (0, StopReason.NONE)
        assert not board.slot(index).draining()
    assert not board.draining


def test_an_attempt_is_visible_from_its_begin_to_its_end() -> None:
    slot = Board(1).slot(0)
    seen = [slot.running() is not None]
    slot.begin("i", "echo", 1, timeout_s=None, memory_limit_bytes=None)
    seen.append(slot.running() is not None)
    slot.settling()
    seen.append(slot.running() is not None)
    slot.end()
    seen.append(slot.running() is not None)

    assert seen == [False, True, True, False]
    assert (slot.state, slot.tasks_done) == (State.IDLE, 1)


def test_every_attempt_of_a_worker_has_its_own_serial_number() -> None:
    slot = Board(1).slot(0)

    serials = [slot.begin("i", "echo", 1, timeout_s=None, memory_limit_bytes=None) for _ in range(3)]

    assert serials == [1, 2, 3]


def test_no_limit_is_zero() -> None:
    slot = Board(1).slot(0)
    slot.begin("i", "echo", 1, timeout_s=None, memory_limit_bytes=None)

    found = slot.running()

    assert found is not None
    assert (found.deadline_ns, found.memory_limit_bytes) == (0, 0)


@pytest.mark.parametrize("text", ["x" * 500, "ä" * 100, ""])
def test_a_long_name_is_cut_and_still_text(text: str) -> None:
    slot = Board(1).slot(0)
    slot.begin(text, text, 1, timeout_s=None, memory_limit_bytes=None)

    found = slot.running()

    assert found is not None
    assert found.task_id[:60] == text[:60]
    assert len(found.task_id.encode()) < 132


def test_a_shorter_name_leaves_nothing_of_the_longer_one_before_it() -> None:
    slot = Board(1).slot(0)
    for name in ("a-long-name", "short"):
        slot.begin(name, name, 1, timeout_s=None, memory_limit_bytes=None)

    found = slot.running()

    assert found is not None
    assert (found.task_id, found.type) == ("short", "short")


def test_a_reset_slot_is_as_new() -> None:
    slot = Board(1).slot(0)
    slot.begin("i", "echo", 1, timeout_s=5, memory_limit_bytes=5)
    slot.order_stop(1, StopReason.TIMEOUT)
    slot.order_drain()
    slot.vouch()

    slot.reset()

    assert slot.running() is None
    assert (slot.state, slot.tasks_done, slot.stop_order()) == (State.STARTING, 0, (0, StopReason.NONE))
    assert not slot.draining()
    assert not slot.vouched_within(3600)


def test_a_drain_of_the_service_is_a_drain_of_every_worker() -> None:
    board = Board(2)
    board.draining = True

    assert board.slot(0).draining()
    assert board.slot(1).draining()


def test_the_flags_of_the_service_can_be_taken_back() -> None:
    board = Board(1)
    for name in ("draining", "stop_now", "ready"):
        assert getattr(board, name) is False
        setattr(board, name, True)
        assert getattr(board, name) is True
        setattr(board, name, False)
        assert getattr(board, name) is False


def test_a_worker_is_vouched_for_until_time_has_passed() -> None:
    slot = Board(1).slot(0)
    assert not slot.vouched_within(3600)

    slot.vouch()

    assert slot.vouched_within(3600)
    assert not slot.vouched_within(0)


def test_a_killed_worker_leaves_what_it_said_behind() -> None:
    slot = Board(1).slot(0)

    def run_and_die() -> None:
        slot.begin("i", "echo", 4, timeout_s=None, memory_limit_bytes=None)
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        run_and_die()
    os.waitpid(pid, 0)

    found = slot.running()
    assert found is not None
    assert (found.task_id, found.attempt) == ("i", 4)
