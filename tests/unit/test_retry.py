"""When a failed attempt is tried again."""

from __future__ import annotations

import msgspec
import pytest

from taskq.retry import Backoff, delay_s


def test_the_default_waits_as_the_origin_does() -> None:
    assert [delay_s(Backoff(), retries) for retries in range(4)] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("backoff", "retries", "expected"),
    [
        (Backoff(first=3, factor=5), 2, 75),
        (Backoff(first=0), 10, 0),
        (Backoff(first=7, factor=1), 999, 7),
        (Backoff(first=10, factor=0.5), 2, 2.5),
        (Backoff(max=30), 5, 30),
        (Backoff(first=50, max=30), 0, 30),
        (Backoff(first=5, max=0), 3, 0),
        (Backoff(), 1000, 600),
        (Backoff(), 100_000, 600),
        (Backoff(factor=10**9), 1000, 600),
    ],
)
def test_the_wait_grows_up_to_its_most(backoff: Backoff, retries: int, expected: float) -> None:
    assert delay_s(backoff, retries) == expected


def test_jitter_adds_up_to_its_fraction_of_the_wait() -> None:
    backoff = Backoff(first=10, jitter=0.2)
    chances = iter([0.0, 0.5, 1.0])

    assert [delay_s(backoff, 0, lambda: next(chances)) for _ in range(3)] == [10, 11, 12]


def test_jitter_is_random_by_itself() -> None:
    backoff = Backoff(first=10, jitter=0.5)
    waits = {delay_s(backoff, 0) for _ in range(100)}

    assert len(waits) > 1
    assert all(10 <= wait <= 15 for wait in waits)


def test_a_backoff_reads_from_a_mapping_and_knows_its_words() -> None:
    assert msgspec.convert({"first": 2.0, "jitter": 0.1}, Backoff) == Backoff(first=2, jitter=0.1)
    with pytest.raises(msgspec.ValidationError, match="unknown field `most`"):
        msgspec.convert({"most": 2.0}, Backoff)
