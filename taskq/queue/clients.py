"""Clients of redis-py as taskq wants them: they retry nothing, and every new connection goes to the present primary."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.driver_info import DriverInfo
from redis.retry import Retry
from redis.sentinel import Sentinel

from taskq.sentinels import Watched, watched

CONNECT_TIMEOUT_S = 1.0

_DRIVER = DriverInfo(lib_version=redis.__version__)
"""What the server is told of redis-py. Left to itself, each connection looks the version up among all installed packages."""


class _Never(Retry):
    """No retry at all. redis-py gives each connection a deep copy of its rules; these never change."""

    def __deepcopy__(self, memo: object) -> _Never:
        return self


_NEVER = _Never(NoBackoff(), 0)


def client(url: str, socket_timeout_s: float) -> redis.Redis:
    """A client for redis://, rediss://, unix:// or redis+sentinel://. Nothing is connected yet."""
    options: dict[str, Any] = {
        "socket_timeout": socket_timeout_s,
        "health_check_interval": 0,
        "client_name": "taskq",
        **_connecting(),
    }
    found = watched(url)
    return redis.Redis.from_url(url, **options) if found is None else _primary(found, options)


def _primary(found: Watched, options: dict[str, Any]) -> redis.Redis:
    """Asks the sentinels, one after the other, whenever it connects."""
    name, password = found.sentinel_login
    asking = {"socket_timeout": CONNECT_TIMEOUT_S, "username": name, "password": password, **_connecting()}
    name, password = found.login
    sentinel: Any = Sentinel(list(found.sentinels), sentinel_kwargs=asking)  # type: ignore[no-untyped-call]
    primary: redis.Redis = sentinel.master_for(found.service, db=found.database, username=name, password=password, **options)
    return primary


def _connecting() -> dict[str, Any]:
    return {
        "retry": _NEVER,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "protocol": 2,
        "driver_info": _DRIVER,
    }
