"""What workers publish about their task types, and who serves what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from taskq.catalog import Published
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from tests.integration.catalogs import NEW, OLD, serving
from tests.integration.steps import LEASE_S, lapse, snapshot


def stored(queue: Queue) -> set[str]:
    digests: Any = queue.link.redis.hkeys(queue.keys.types)
    return {digest.decode() for digest in digests}


def types(inspector: Inspector) -> list[tuple[str, list[str]]]:
    """The types of the default queue with the workers that serve them."""
    found = inspector.types(max_age_s=0)["default"]
    return [(name, sorted(found.servers(name))) for name in sorted(found.known())]


def test_a_worker_that_joins_publishes_its_types(queue: Queue, inspector: Inspector) -> None:
    worker = serving(queue, OLD)

    assert types(inspector) == [("echo", [worker]), ("image.resize", [worker])]
    info = inspector.types(max_age_s=0)["default"].known()["image.resize"]
    assert (info.description, info.max_retry, info.timeout_s) == ("Make a picture smaller.", 7, 3600)


def test_workers_with_one_catalog_share_one_copy(queue: Queue) -> None:
    serving(queue, OLD)
    serving(queue, OLD)

    assert stored(queue) == {OLD.digest}


def test_a_repeated_join_publishes_nothing_again(queue: Queue) -> None:
    info = json.dumps({"catalog": OLD.digest}).encode()
    queue.join("w", LEASE_S, info, OLD)
    before = snapshot(queue)

    queue.join("w", LEASE_S, info, OLD)

    assert snapshot(queue) == before


def test_types_that_no_live_worker_serves_are_known_as_such(queue: Queue, inspector: Inspector) -> None:
    queue.leave(serving(queue, OLD))
    lapse(queue, serving(queue, OLD))

    assert types(inspector) == [("echo", []), ("image.resize", [])]


def test_types_that_nobody_serves_are_forgotten_once_others_are_published(queue: Queue, inspector: Inspector) -> None:
    queue.leave(serving(queue, OLD))

    worker = serving(queue, NEW)

    assert stored(queue) == {NEW.digest}
    assert types(inspector) == [("image.resize", [worker]), ("mail", [worker])]


def test_two_versions_are_kept_apart_while_both_have_workers(queue: Queue, inspector: Inspector) -> None:
    old, new = serving(queue, OLD), serving(queue, NEW)

    assert stored(queue) == {OLD.digest, NEW.digest}
    assert types(inspector) == [("echo", [old]), ("image.resize", sorted([old, new])), ("mail", [new])]


def test_types_are_read_again_only_when_they_are_too_old(queue: Queue, inspector: Inspector) -> None:
    serving(queue, OLD)
    assert list(inspector.types()["default"].workers.values()) == [OLD.digest]

    serving(queue, OLD)

    assert len(inspector.types(max_age_s=60)["default"].workers) == 1
    assert len(inspector.types(max_age_s=0)["default"].workers) == 2


@pytest.mark.parametrize("info", [b"garbage", b"[]", b'{"catalog": 5}', b'{"catalog": "unknown"}', b"\xff"])
def test_a_worker_that_tells_nonsense_tells_nothing(queue: Queue, inspector: Inspector, info: bytes) -> None:
    queue.join("w", LEASE_S, info)

    assert inspector.types(max_age_s=0)["default"].workers == {"w": None}


def test_a_catalog_that_cannot_be_read_names_no_types(queue: Queue, inspector: Inspector) -> None:
    serving(queue, Published("0123456789abcdef", b"garbage"))

    assert types(inspector) == []
