"""A seat decides when its worker is interrupted, killed and replaced."""

from __future__ import annotations

from multiprocessing.process import BaseProcess
from typing import cast

import pytest

from taskq.config import Pool
from taskq.supervisor.seats import (
    FIRST_DELAY_S,
    LONGEST_DELAY_S,
    QUICK_DEATH_S,
    REMIND_EVERY_S,
    Action,
    Seat,
    restart_delay_s,
)
from taskq.supervisor.slots import Board, Running
from taskq.worker.control import State, StopReason

SOMEBODY = cast("BaseProcess", object())


@pytest.fixture
def seat() -> Seat:
    return Seat(index=0, pool_name="default", pool=Pool(), slot=Board(1).slot(0), process=SOMEBODY)


def begin(seat: Seat, timeout_s: float | None = None) -> Running:
    """The worker in the seat begins an attempt."""
    seat.slot.begin("i", "echo", 1, timeout_s=timeout_s, memory_limit_bytes=None)
    return running(seat)


def running(seat: Seat) -> Running:
    found = seat.slot.running()
    assert found is not None
    return found


def test_nothing_is_due_while_nothing_is_wanted(seat: Seat) -> None:
    assert seat.next_action(None, 0) is Action.NOTHING
    assert seat.next_action(begin(seat), 0) is Action.NOTHING


def test_an_attempt_that_shall_stop_is_interrupted_at_once_again_and_again_and_then_killed(seat: Seat) -> None:
    attempt = begin(seat)
    seat.want_stop(attempt, StopReason.TIMEOUT, 100, grace_s=5)

    assert seat.next_action(attempt, 100) is Action.INTERRUPT
    seat.interrupted(100)
    assert seat.next_action(attempt, 100 + REMIND_EVERY_S - 0.01) is Action.NOTHING
    assert seat.next_action(attempt, 100 + REMIND_EVERY_S) is Action.INTERRUPT
    assert seat.next_action(attempt, 105) is Action.KILL


def test_an_interruption_names_the_attempt_and_the_reason_in_the_slot(seat: Seat) -> None:
    attempt = begin(seat)
    seat.want_stop(attempt, StopReason.CANCELLED, 100, grace_s=5)

    seat.interrupted(100)

    assert seat.slot.stop_order() == (attempt.serial, StopReason.CANCELLED)


def test_wanted_again_the_first_reason_and_the_earliest_kill_count(seat: Seat) -> None:
    attempt = begin(seat)
    seat.want_stop(attempt, StopReason.CANCELLED, 100, grace_s=5)
    seat.want_stop(attempt, StopReason.TIMEOUT, 101, grace_s=1)
    seat.want_stop(attempt, StopReason.DRAIN, 102, grace_s=60)

    assert (seat.stop_reason, seat.kill_at) == (StopReason.CANCELLED, 102)


def test_a_drain_that_is_wanted_turn_after_turn_does_not_put_off_the_kill(seat: Seat) -> None:
    attempt = begin(seat)
    for now in (100, 100.4, 100.9):
        seat.want_stop(attempt, StopReason.DRAIN, now, grace_s=1)

    assert seat.next_action(attempt, 101) is Action.KILL


def test_an_idle_worker_that_shall_claim_no_more_is_woken_at_once_and_again_and_again(seat: Seat) -> None:
    seat.slot.report(State.IDLE)
    assert (seat.next_action(None, 100), seat.wakes_at(None)) == (Action.NOTHING, None)
    seat.slot.order_drain()

    assert seat.next_action(None, 100) is Action.WAKE
    seat.woken(100)
    assert seat.wakes_at(None) == 100 + REMIND_EVERY_S
    assert seat.next_action(None, 100 + REMIND_EVERY_S - 0.01) is Action.NOTHING
    assert seat.next_action(None, 100 + REMIND_EVERY_S) is Action.WAKE


def test_a_worker_that_has_not_begun_to_wait_is_not_woken(seat: Seat) -> None:
    seat.slot.report(State.STARTING)
    seat.slot.order_drain()

    assert (seat.next_action(None, 100), seat.wakes_at(None)) == (Action.NOTHING, None)


def test_a_worker_that_shall_claim_no_more_ends_what_it_runs_undisturbed(seat: Seat) -> None:
    attempt = begin(seat)
    seat.slot.order_drain()

    assert (seat.next_action(attempt, 100), seat.wakes_at(attempt)) == (Action.NOTHING, None)


def test_an_attempt_that_is_being_settled_is_left_alone(seat: Seat) -> None:
    attempt = begin(seat)
    seat.want_stop(attempt, StopReason.TIMEOUT, 100, grace_s=1)
    seat.slot.settling()

    assert seat.next_action(running(seat), 200) is Action.NOTHING
    assert seat.wakes_at(running(seat)) is None


def test_a_stop_is_not_meant_for_the_next_attempt(seat: Seat) -> None:
    seat.want_stop(begin(seat), StopReason.TIMEOUT, 100, grace_s=1)
    seat.slot.end()

    assert seat.next_action(begin(seat), 200) is Action.NOTHING


def test_the_next_attempt_can_be_stopped_for_a_reason_of_its_own(seat: Seat) -> None:
    seat.want_stop(begin(seat), StopReason.TIMEOUT, 100, grace_s=1)
    seat.slot.end()
    following = begin(seat)

    seat.want_stop(following, StopReason.CANCELLED, 200, grace_s=1)

    assert (seat.stop_reason, seat.kill_at) == (StopReason.CANCELLED, 201)
    assert seat.next_action(following, 200) is Action.INTERRUPT


def test_a_new_worker_is_not_held_to_what_was_wanted_of_the_old_one(seat: Seat) -> None:
    seat.want_stop(begin(seat), StopReason.TIMEOUT, 100, grace_s=1)
    seat.killed_for, seat.peak_rss_bytes = StopReason.TIMEOUT, 10
    seat.vacated(101, at_fault=False)
    seat.slot.reset()

    seat.seated("w2", 102)

    assert (seat.stop_serial, seat.stop_reason, seat.killed_for, seat.peak_rss_bytes) == (0, 0, 0, 0)
    assert seat.next_action(begin(seat), 200) is Action.NOTHING


# -- waking


def test_an_empty_seat_wakes_when_it_may_be_filled(seat: Seat) -> None:
    seat.process = None
    seat.start_at = 123

    assert seat.wakes_at(None) == 123


def test_an_idle_worker_wakes_nobody(seat: Seat) -> None:
    assert seat.wakes_at(None) is None
    assert seat.wakes_at(begin(seat)) is None


def test_a_time_limit_wakes_at_its_end(seat: Seat) -> None:
    attempt = begin(seat, timeout_s=2)

    assert seat.wakes_at(attempt) == attempt.deadline_ns / 1e9


def test_a_stop_wakes_for_the_next_reminder_and_for_the_kill(seat: Seat) -> None:
    attempt = begin(seat)
    seat.want_stop(attempt, StopReason.TIMEOUT, 100, grace_s=0.3)
    seat.interrupted(100)

    assert seat.wakes_at(attempt) == 100 + REMIND_EVERY_S
    seat.interrupted(100.2)
    assert seat.wakes_at(attempt) == 100.3


# -- replacing


def test_a_worker_that_ended_as_it_should_is_replaced_at_once(seat: Seat) -> None:
    seat.seated("w1", 100)

    seat.vacated(100.1, at_fault=False)

    assert (seat.process, seat.start_at, seat.quick_deaths) == (None, 100.1, 0)


def test_workers_that_die_at_once_are_replaced_ever_more_slowly(seat: Seat) -> None:
    waits = []
    for now in range(0, 1000, 100):
        seat.seated("w", now)
        seat.vacated(now + 1, at_fault=True)
        waits.append(seat.start_at - now - 1)

    assert waits == [0, 0.25, 0.5, 1, 2, 4, 8, 10, 10, 10]


def test_a_worker_that_lived_for_a_while_starts_the_count_anew(seat: Seat) -> None:
    seat.quick_deaths = 5
    seat.seated("w", 100)

    seat.vacated(100 + QUICK_DEATH_S, at_fault=True)

    assert (seat.start_at, seat.quick_deaths) == (100 + QUICK_DEATH_S, 0)


@pytest.mark.parametrize(
    ("deaths", "expected"),
    [(0, 0), (1, FIRST_DELAY_S), (2, 2 * FIRST_DELAY_S), (50, LONGEST_DELAY_S), (1000, LONGEST_DELAY_S)],
)
def test_the_wait_before_a_restart_doubles_up_to_its_most(deaths: int, expected: float) -> None:
    assert restart_delay_s(deaths) == expected


def test_the_size_of_an_idle_worker_is_looked_at_once_after_each_attempt(seat: Seat) -> None:
    seat.slot.report(State.STARTING)
    seat.sampled(None, 10)
    assert seat.may_have_grown()
    seat.slot.report(State.IDLE)
    assert seat.may_have_grown()
    seat.sampled(None, 20)
    assert not seat.may_have_grown()

    attempt = begin(seat)
    assert seat.may_have_grown()
    seat.sampled(attempt, 30)
    seat.slot.end()
    assert seat.may_have_grown()
    seat.sampled(None, 25)
    assert not seat.may_have_grown()
    assert (seat.resident_bytes, seat.slot.resident_bytes) == (25, 25)


def test_an_attempt_between_two_looks_makes_an_idle_worker_be_looked_at(seat: Seat) -> None:
    seat.slot.report(State.IDLE)
    seat.sampled(None, 20)
    begin(seat)
    seat.slot.end()

    assert seat.may_have_grown()


def test_a_new_worker_is_looked_at(seat: Seat) -> None:
    seat.slot.report(State.IDLE)
    seat.sampled(None, 20)

    seat.seated("another", 100)

    assert seat.may_have_grown()
