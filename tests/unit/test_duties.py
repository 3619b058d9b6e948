"""When a duty of maintenance has its turn."""

from __future__ import annotations

import pytest

from taskq.maintenance.maintenance import EARLY_S, Duty


def nothing() -> bool:
    return False


def test_a_regular_turn_may_be_early_by_a_quarter_of_its_rhythm() -> None:
    duty = Duty("x", EARLY_S, nothing)

    duty.had_turn(False, 100)

    assert duty.due_at == 100 + EARLY_S
    assert duty.may_begin(100 + 0.76 * EARLY_S)
    assert not duty.may_begin(100 + 0.74 * EARLY_S)


def test_a_seldom_duty_is_not_early_by_more_than_is_needed_to_meet_others() -> None:
    duty = Duty("x", 60, nothing)

    duty.had_turn(False, 100)

    assert duty.may_begin(160.001 - EARLY_S)
    assert not duty.may_begin(159.999 - EARLY_S)


def test_a_turn_that_was_asked_for_is_never_early() -> None:
    duty = Duty("x", 60, nothing)

    duty.had_turn(5.0, 100)

    assert duty.due_at == 105
    assert not duty.may_begin(104.999)
    assert duty.may_begin(105)


def test_a_turn_that_was_asked_for_is_not_later_than_the_regular_one() -> None:
    duty = Duty("x", 2, nothing)

    duty.had_turn(5.0, 100)

    assert duty.due_at == 102


@pytest.mark.parametrize("wanted", [True, 0.0])
def test_a_duty_that_has_more_to_do_goes_on_at_once(wanted: bool | float) -> None:
    duty = Duty("x", 60, nothing)

    duty.had_turn(wanted, 100)

    assert duty.may_begin(100)
