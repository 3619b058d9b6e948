"""What a worker notices about its descriptors after a task. All else of it is seen from outside, in the system tests."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker
from typing import Any

import pytest

from taskq.worker import hygiene
from taskq.worker.hygiene import FD_SLACK, Baseline, Seed


@pytest.fixture
def opened() -> Iterator[list[int]]:
    """Descriptors to be closed at the end, as far as they are open then."""
    fds: list[int] = []
    yield fds
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            continue


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_PATH])
def test_a_descriptor_that_was_closed_is_noticed(opened: list[int], flags: int) -> None:
    opened.append(os.open("/", flags))
    baseline = Baseline()
    assert baseline.restore() is None
    os.close(opened[0])
    assert baseline.restore() == "the task closed descriptors that are not its own"


def test_a_helper_of_multiprocessing_ends_unless_it_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene, "end_children", lambda: None)
    tracker: Any = resource_tracker._resource_tracker
    tracker._stop()
    baseline = Baseline()
    tracker.ensure_running()
    assert baseline.calm() is None
    assert tracker._pid is None

    tracker.ensure_running()
    try:
        assert Baseline().calm() is None
        assert tracker._check_alive()
    finally:
        tracker._stop()


def test_many_descriptors_that_stay_open_are_noticed_and_few_are_not(opened: list[int]) -> None:
    baseline = Baseline()
    opened += [os.open("/", os.O_RDONLY) for _ in range(FD_SLACK)]
    assert baseline.restore() is None
    opened.append(os.open("/", os.O_RDONLY))
    assert baseline.restore() == f"the task left {FD_SLACK + 1} descriptors open"


def test_where_the_kernel_does_not_count_descriptors_they_are_listed(
    opened: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskq.worker.hygiene._counted", lambda fd: 0)
    baseline = Baseline()
    assert baseline.restore() is None
    opened += [os.open("/", os.O_RDONLY) for _ in range(FD_SLACK + 1)]
    assert baseline.restore() == f"the task left {FD_SLACK + 1} descriptors open"


@pytest.mark.parametrize("fd", [1, 2])
def test_a_standard_stream_that_leads_elsewhere_is_noticed(opened: list[int], fd: int) -> None:
    kept = os.dup(fd)
    opened += [kept, os.open(os.devnull, os.O_WRONLY)]
    baseline = Baseline()
    try:
        os.dup2(opened[1], fd)
        assert baseline.restore() == "the task replaced standard output or standard error"
    finally:
        os.dup2(kept, fd)
    assert baseline.restore() is None


USES: dict[str, Callable[[], object]] = {
    "a number": random.random,
    "a seed": lambda: random.seed(1),
    "as many words as the state has": lambda: random.getrandbits(624 * 32),
    "more words": lambda: random.getrandbits(700 * 32),
    "a state": lambda: random.setstate(random.Random(5).getstate()),
}


@pytest.mark.parametrize("name", USES)
def test_random_is_seeded_anew_after_any_use(name: str) -> None:
    seed = Seed()
    seed.renew()
    before = random.getstate()
    USES[name]()
    left = random.getstate()
    seed.renew()
    assert random.getstate() not in (before, left)


def test_random_is_left_alone_while_nobody_uses_it() -> None:
    seed = Seed()
    seed.renew()
    before = random.getstate()
    seed.renew()
    assert random.getstate() == before


def test_where_the_state_of_random_cannot_be_seen_it_is_seeded_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene, "_WORD_BYTES", 8)  # as if it was stored in another form
    seed = Seed()
    seed.renew()
    before = random.getstate()
    seed.renew()
    assert random.getstate() != before
