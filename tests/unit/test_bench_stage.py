"""What the benchmark makes of the runs of tasks."""

from __future__ import annotations

import pytest

from tests.bench.stage import Ran, efficiency

MS = 1_000_000


def test_a_worker_that_runs_one_task_after_another_loses_what_lies_between_them() -> None:
    one = [Ran(n, 1, n * 12 * MS, (n * 12 + 10) * MS) for n in range(5)]
    other = [Ran(n, 2, n * 10 * MS, (n + 1) * 10 * MS) for n in range(5)]
    assert efficiency(one, 10) == pytest.approx(100 * 50 / 58)
    assert efficiency(one + other, 10) == pytest.approx(100 * 100 / 108)


def test_a_worker_that_runs_several_at_once_is_not_more_than_whole() -> None:
    threads = [Ran(n, 1, n // 4 * 40 * MS, (n // 4 + 1) * 40 * MS) for n in range(8)]
    assert efficiency(threads, 10) == pytest.approx(100)
