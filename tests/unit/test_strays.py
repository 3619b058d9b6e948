"""What outlived its task is found and ended, and what belongs to us is spared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from taskq.children import children, has_children, kill_children
from taskq.supervisor.strays import end_group, end_strays

Child = subprocess.Popen[bytes]


@pytest.fixture
def start() -> Iterator[list[Child]]:
    """Processes that wait until somebody ends them."""
    started = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, process_group=0) for _ in range(2)]
    yield started
    for child in started:
        child.kill()
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def test_every_child_is_known_to_the_kernel(start: list[Child]) -> None:
    assert {child.pid for child in start} <= set(children())
    assert has_children()


def test_strays_are_killed_and_reaped_and_the_known_spared(start: list[Child]) -> None:
    stray, known = start
    spared = set(children()) - {stray.pid}

    killed = end_strays(spared)

    assert killed == 1
    assert stray.pid not in children()
    assert known.poll() is None


def test_there_is_nothing_to_kill_among_the_known(start: list[Child]) -> None:
    assert kill_children(children()) == []
    assert all(child.poll() is None for child in start)


def test_a_group_is_killed_as_a_whole(start: list[Child]) -> None:
    end_group(start[0].pid)

    assert start[0].wait(10) == -9
    assert start[1].poll() is None


def test_a_group_that_is_gone_is_no_error(start: list[Child]) -> None:
    start[0].kill()
    start[0].wait()

    end_group(start[0].pid)
