"""The clock of Redis jumps by an hour, seen from what is stored: moving every stored moment the other way is the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import taskq.queue
from taskq.queue.queue import Queue
from taskq.task import Status
from tests.integration.steps import DETAIL, LEASE_S, MIB, PAUSE_S, claim, enqueued, joined, lapse, lease_ms, started, status

HOUR_MS = 3_600_000


def jump(queue: Queue, ahead_ms: int) -> None:
    """Let the clock be so much further ahead than when the leases and the last visit were noted."""
    client: Any = queue.link.redis
    for worker in client.zrange(queue.keys.leases, 0, -1):
        client.zincrby(queue.keys.leases, -ahead_ms, worker)
    client.decrby(queue.keys.reaper, ahead_ms)


@pytest.mark.parametrize("ahead_ms", [HOUR_MS, -HOUR_MS])
def test_a_clock_that_jumps_ends_no_lease_and_lengthens_none(queue: Queue, ahead_ms: int) -> None:
    busy, idle = joined(queue), joined(queue)
    attempt = started(queue, busy)
    assert queue.lapsed(PAUSE_S) == []

    jump(queue, ahead_ms)

    assert queue.lapsed(PAUSE_S) == []
    assert queue.extend({busy: MIB}, LEASE_S, PAUSE_S) == []
    assert queue.reap(idle, dead=False, max_crashes=3, error="", detail=DETAIL) == []
    assert lease_ms(queue, idle) <= LEASE_S * 1000
    assert status(queue, attempt.id) is Status.PROCESSING
    task_id = enqueued(queue)
    assert claim(queue, idle).id == task_id


def test_a_lease_that_had_lapsed_is_not_revived_by_a_clock_that_is_put_back(queue: Queue) -> None:
    gone = joined(queue)
    attempt = started(queue, gone)
    queue.lapsed(PAUSE_S)
    lapse(queue, gone, ago_ms=1_000)

    jump(queue, -HOUR_MS)

    assert [worker for worker, _ in queue.lapsed(PAUSE_S)] == [gone]
    assert queue.extend({gone: MIB}, LEASE_S, PAUSE_S) == [gone]
    assert [reaped.id for reaped in queue.reap(gone, dead=False, max_crashes=3, error="", detail=DETAIL)] == [attempt.id]


@pytest.mark.parametrize(
    ("micros", "millis"), [("0", "000"), ("999", "000"), ("5999", "005"), ("70001", "070"), ("999999", "999")]
)
def test_a_moment_is_cut_off_to_its_millisecond(queue: Queue, micros: str, millis: str) -> None:
    source = (Path(taskq.queue.__path__[0]) / "lua/lib/now.lua").read_text(encoding="utf-8")
    assert source.count("redis.call('TIME')") == 1
    client: Any = queue.link.redis

    told = client.eval(source.replace("redis.call('TIME')", f"{{'1764000000', '{micros}'}}") + "return {stamp, now}", 0)

    assert told == [f"1764000000{millis}".encode(), int(f"1764000000{millis}")]
