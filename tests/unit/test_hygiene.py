"""What a worker notices about its descriptors after a task. All else of it is seen from outside, in the system tests."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from taskq.worker.hygiene import FD_SLACK, Baseline


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
