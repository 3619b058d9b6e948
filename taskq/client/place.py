"""Where the queue is, by the same configuration as the service's."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from taskq import config
from taskq.queue import embedded


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the queue. `hint` says what to do when nothing answers; `max_retry` is for tasks that name none."""

    url: str
    prefix: str = "taskq"
    max_retry: int = 3
    hint: str = ""


def place_of(settings: config.Config) -> Place:
    """The place that a configuration names: its Redis, or the server that a service with it has started."""
    redis, max_retry = settings.redis, settings.tasks.defaults.max_retry
    if redis.url is not None:
        hint = "redis.url or REDIS_ADDR says where it is"
        return Place(url=redis.url, prefix=redis.prefix, max_retry=max_retry, hint=hint)
    data_dir = redis.data_dir.resolve()
    hint = f"start the service that keeps its data in {data_dir} (taskq run), or name a Redis in redis.url or REDIS_ADDR"
    return Place(url=f"unix://{embedded.socket_of(data_dir)}", prefix=redis.prefix, max_retry=max_retry, hint=hint)


def configured_place(path: Path | None = None) -> Place:
    """The place that the file (None: the one in TASKQ_CONFIG), the environment and `.env` name. Raises ConfigError."""
    return place_of(config.load(path, environ=os.environ, flags={}, cwd=Path.cwd()).config)
