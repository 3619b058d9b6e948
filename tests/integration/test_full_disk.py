"""The disk under the append-only file is full: nothing is accepted that is not kept, and all goes on when there is room."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from taskq.errors import QueueUnavailable
from taskq.queue.connection import Link
from taskq.queue.queue import Queue
from taskq.task import Verdict
from tests.faultproxy import RealServer
from tests.integration.steps import SETTLES, joined, new, started, until

ROOM_BYTES = 200_000
PAYLOAD = b'"' + b"x" * 5_000 + b'"'


class SmallDisk(RealServer):
    """Its files can only grow to so many bytes. It does not sync at every write: then it would end itself."""

    fsync = "everysec"

    def limit(self, size_bytes: int) -> None:
        """Let files grow to this size from now on; -1 without end."""
        assert self._process is not None
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


@pytest.fixture
def disk() -> Iterator[SmallDisk]:
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # inherited: a write then fails, as on a full disk
    try:
        with SmallDisk() as server:
            yield server
    finally:
        signal.signal(signal.SIGXFSZ, before)


def test_nothing_is_accepted_that_is_lost_and_what_runs_settles_when_there_is_room(disk: SmallDisk) -> None:
    accepted, worker = list[str](), ""
    with contextlib.closing(Link(disk.url, patience_s=0.2)) as link:
        queue = Queue(link)
        worker = joined(queue)
        attempt = started(queue, worker)
        disk.limit(ROOM_BYTES)
        with pytest.raises(QueueUnavailable, match="MISCONF"):
            for _ in range(1_000):
                task = new(payload=PAYLOAD)
                queue.enqueue(task)
                accepted.append(task.id)
        with pytest.raises(QueueUnavailable):
            SETTLES["complete"](queue, worker, attempt)
        assert len(accepted) * len(PAYLOAD) < 2 * ROOM_BYTES

        disk.limit(resource.RLIM_INFINITY)

        patient = Queue(Link(disk.url, patience_s=20))
        with contextlib.closing(patient.link):
            assert SETTLES["complete"](patient, worker, attempt) is Verdict.OK
            later = new()
            patient.enqueue(later)
            # while an fsync goes on, the server keeps what it has accepted for up to two seconds before it writes it
            until(lambda: patient.link.redis.info("persistence")["aof_buffer_length"] == 0, "all is written")
        disk.kill()
        disk.start()
        client: Any = redis.Redis(unix_socket_path=disk.path)
        with contextlib.closing(client):
            stored = {task_id.decode() for task_id in client.zrange(queue.keys.tasks, 0, -1)}
        assert {*accepted, later.id, attempt.id} <= stored
