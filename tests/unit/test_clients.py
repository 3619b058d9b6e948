"""Clients of redis-py that are not connected."""

from __future__ import annotations

import importlib.metadata

import pytest
import redis

from taskq.queue.clients import client


def test_a_new_connection_searches_no_installed_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def search(name: str) -> str:
        raise AssertionError(f"the version of {name} was looked up")

    monkeypatch.setattr(importlib.metadata, "version", search)

    for url in ("redis://localhost/0", "unix:///s", "redis+sentinel://localhost/jobs"):
        pool = client(url, 1.0).connection_pool
        told = pool.connection_class(**pool.connection_kwargs).driver_info
        assert (told.name, told.lib_version) == ("redis-py", redis.__version__)


def test_a_new_connection_retries_nothing_by_rules_that_are_not_copied() -> None:
    pool = client("redis://localhost/0?retry_on_timeout=yes", 1.0).connection_pool

    made = [pool.connection_class(**pool.connection_kwargs).retry for _ in range(2)]

    assert made[0] is made[1]
    assert made[0].get_retries() == 0
