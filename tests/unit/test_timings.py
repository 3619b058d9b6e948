"""Counts and durations of a type, from the counters of several queues."""

from __future__ import annotations

import msgspec
import pytest

from taskq.api.timings import quantile, timings
from taskq.queue.stats import BOUNDS_S, Runs, from_hash


def runs(**buckets: int) -> Runs:
    return from_hash({f"complete:{name[1:]}.1:echo".encode(): str(count).encode() for name, count in buckets.items()}).runs[
        "complete", "echo"
    ]


def test_counts_and_durations_of_all_queues_are_added_up() -> None:
    one = from_hash({b"complete:5.1:echo": b"3", b"complete:ms:echo": b"900", b"fail:5.1:sum": b"7"})
    other = from_hash({b"complete:5.1:echo": b"1", b"fail:6.1:echo": b"1", b"fail:ms:echo": b"600"})

    found = msgspec.to_builtins(timings([one, other], "echo"))

    assert found["attempts"] == {"completed": 4, "failed": 1}
    assert found["durations"]["mean_s"] == 0.3
    assert 0.25 < found["durations"]["p50_s"] < 0.5 < found["durations"]["p95_s"] < 1


def test_a_type_that_never_ran_has_neither() -> None:
    assert msgspec.to_builtins(timings([from_hash({b"complete:5.1:echo": b"3"})], "sum")) == {}


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.25), (0.75, 0.375), (1.0, 0.5)])
def test_a_quantile_is_spread_within_its_bucket(share: float, seconds: float) -> None:
    assert quantile(runs(b4=5, b5=5), share) == seconds


def test_what_lies_above_every_bound_counts_as_the_highest() -> None:
    assert quantile(runs(b15=4), 0.5) == BOUNDS_S[-1]
