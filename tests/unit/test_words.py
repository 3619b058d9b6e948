"""Progress in shared memory, and the context through which handlers write it."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import pytest

from taskq.supervisor.boardview import BoardView
from taskq.supervisor.slots import Board, Slot
from taskq.task import Attempt, Progress
from taskq.worker.context import Context
from taskq.worker.control import StopReason

ATTEMPT = Attempt(id="t1", type="echo", queue="default", attempt=2)


def begun(slot: Slot) -> int:
    return slot.begin("t1", "echo", 2, timeout_s=None, memory_limit_bytes=None)


@pytest.fixture
def slot() -> Slot:
    slot = Board(3).slot(1)
    begun(slot)
    return slot


@pytest.fixture
def context(slot: Slot) -> Context:
    return Context(ATTEMPT, "w", None, slot)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((3, 10, "resizing"), Progress(3, 10, "resizing")),
        ((0.25,), Progress(0.25)),
        ((2**53, None, "ä" * 10), Progress(2**53, None, "ä" * 10)),
        ((True, 0), Progress(1, 0)),
        ((1, math.inf), Progress(1)),
        ((1, 2, "lone \ud800"), Progress(1, 2, "lone ?")),
    ],
)
def test_what_a_handler_says_is_read_as_it_was_said(
    slot: Slot, context: Context, said: tuple[Any, ...], expected: Progress
) -> None:
    context.progress(*said)

    told = slot.told()
    assert told is not None
    assert told[1] == expected


def test_of_a_long_message_whole_characters_from_its_beginning_are_kept(slot: Slot, context: Context) -> None:
    context.progress(1, message="ä" * 1000)

    told = slot.told()
    assert told is not None
    assert told[1].message == "ä" * 127


@pytest.mark.parametrize("said", [("much",), (1, "many"), (1, 2, 3), (10**400,), (None,)])
def test_progress_that_is_no_number_is_an_error_of_the_handler(context: Context, said: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="progress: expected numbers and a text, got"):
        context.progress(*said)


def test_a_number_that_json_does_not_have_is_not_told(slot: Slot, context: Context) -> None:
    context.progress(math.nan)

    assert slot.told() is None


def test_every_word_has_a_number_of_its_own(slot: Slot, context: Context) -> None:
    numbers = set()
    for _ in range(3):
        context.progress(1)
        told = slot.told()
        assert told is not None
        numbers.add(told[0])

    assert len(numbers) == 3


def test_the_next_attempt_has_said_nothing(slot: Slot, context: Context) -> None:
    context.progress(1)

    begun(slot)

    assert slot.told() is None


def test_neighbours_do_not_hear_each_other() -> None:
    board = Board(3)
    for index in range(3):
        begun(board.slot(index))

    board.slot(1).progress(1, 2, "x" * 300)

    assert (board.slot(0).told(), board.slot(2).told()) == (None, None)


def test_a_reader_never_sees_half_a_word(slot: Slot, context: Context) -> None:
    over = threading.Event()

    def say() -> None:
        done = 0
        while not over.is_set():
            done += 1
            context.progress(done, -done, str(done))

    speaker = threading.Thread(target=say)
    speaker.start()
    try:
        told = [slot.told() for _ in range(20_000)]
    finally:
        over.set()
        speaker.join()

    heard = [word[1] for word in told if word is not None]
    assert all(word.total == -word.done and word.message == f"{word.done:.0f}" for word in heard)
    assert len(heard) > 10_000


def test_progress_is_cheap_enough_to_be_told_for_every_step(context: Context) -> None:
    calls = 100_000
    best_s = math.inf
    for _ in range(5):
        began = time.thread_time()
        for done in range(calls):
            context.progress(done, calls, "working")
        best_s = min(best_s, time.thread_time() - began)

    assert best_s / calls < 5e-6  # about 0.5e-6 on an idle machine


def test_a_context_without_a_worker_takes_progress_and_is_never_cancelled() -> None:
    context = Context(ATTEMPT, "w", None)

    context.progress(1, 2, "x")

    assert not context.cancelled


def test_a_handler_sees_that_it_shall_stop(slot: Slot, context: Context) -> None:
    assert not context.cancelled

    slot.order_stop(1, StopReason.CANCELLED)

    assert context.cancelled


def test_an_order_to_stop_an_earlier_attempt_does_not_concern_the_next(slot: Slot, context: Context) -> None:
    slot.order_stop(1, StopReason.CANCELLED)

    begun(slot)

    assert not context.cancelled


def test_maintenance_sees_an_attempt_and_its_progress_only_while_it_runs() -> None:
    board = Board(1)
    view, slot = BoardView(board, 1.0), board.slot(0)
    assert view.held(0) is None
    begun(slot)
    slot.progress(1, 2, "half")

    held = view.held(0)
    assert held is not None
    assert (held.serial, held.task_id, held.attempt) == (1, "t1", 2)
    assert held.told is not None
    assert held.told[1] == Progress(1, 2, "half")
    slot.settling()
    assert view.held(0) is None
