"""What ends the sleep of an idle worker early."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import closing

import pytest

from taskq.worker.alarm import Alarm


@pytest.fixture
def alarm() -> Iterator[Alarm]:
    with closing(Alarm()) as made:
        yield made


def is_set(alarm: Alarm) -> bool:
    poll = select.poll()
    poll.register(alarm.fd, select.POLLIN)
    return bool(poll.poll(0))


def test_it_stays_set_until_it_is_cleared_however_often_it_was_set(alarm: Alarm) -> None:
    assert not is_set(alarm)
    for _ in range(2):
        alarm.set()
    assert is_set(alarm)
    assert is_set(alarm)

    alarm.clear()

    assert not is_set(alarm)


def test_to_clear_one_that_is_not_set_changes_nothing(alarm: Alarm) -> None:
    alarm.clear()

    assert not is_set(alarm)


def test_a_sleep_ends_at_once_when_it_is_set(alarm: Alarm) -> None:
    alarm.set()

    alarm.sleep(10_000)


def test_a_sleep_ends_by_itself(alarm: Alarm) -> None:
    alarm.sleep(0.001)

    assert not is_set(alarm)
