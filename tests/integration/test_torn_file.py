"""The append-only file of the embedded server, cut at any byte of its last scripts: what is accepted afterwards is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskq.queue import embedded
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.steps import enqueued

BLOCKS = 3


@contextmanager
def serving(directory: Path) -> Iterator[Link]:
    """The embedded server on this data directory, as the supervisor would start it; killed at the end."""
    plan = embedded.plan(directory)
    process = subprocess.Popen(plan.arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    link = Link(plan.url, patience_s=20)
    try:
        link.run(lambda client: client.ping())
        yield link
    finally:
        link.close()
        process.kill()
        process.wait()
        os.close(plan.lock)


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="tq-", dir="/tmp"))  # a socket path has little room
    yield path
    shutil.rmtree(path, ignore_errors=True)


def file_with_blocks(directory: Path) -> tuple[Path, list[int]]:
    """A data directory whose file ends in script blocks, and every byte from the first of the last three to its end."""
    with serving(directory / "whole") as link:
        for _ in range(BLOCKS + 1):
            enqueued(Queue(link))
    file = next((directory / "whole" / "appendonlydir").glob("*.incr.aof"))
    data = file.read_bytes()
    starts = [at for at in range(len(data)) if data.startswith(b"MULTI", at)]
    assert len(starts) > BLOCKS
    return file, list(range(starts[-BLOCKS], len(data)))


def lost_after_a_cut(directory: Path, file: Path, at: int) -> list[str]:
    """Cut a copy of the file, accept two tasks, kill and start again; the ids that are gone then."""
    torn = directory / "torn"
    shutil.copytree(file.parent, torn / "appendonlydir")
    os.truncate(torn / "appendonlydir" / file.name, at)
    with serving(torn) as link:
        accepted = [enqueued(Queue(link)) for _ in range(2)]
    with serving(torn) as link:
        lost = [task_id for task_id in accepted if Inspector(link).get(task_id) is None]
    shutil.rmtree(torn)
    return lost


def test_nothing_that_is_accepted_after_a_cut_is_lost(directory: Path) -> None:
    file, cuts = file_with_blocks(directory)

    assert {at: lost for at in cuts[::50] if (lost := lost_after_a_cut(directory, file, at))} == {}


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_nothing_that_is_accepted_after_a_cut_at_any_byte_is_lost(directory: Path) -> None:
    file, cuts = file_with_blocks(directory)

    assert {at: lost for at in cuts if (lost := lost_after_a_cut(directory, file, at))} == {}
