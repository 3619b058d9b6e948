"""Catalogs of task types, and workers that publish them."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

from msgspec import Meta

from taskq.catalog import Published, publish
from taskq.config import Defaults
from taskq.queue.queue import Queue
from taskq.registry import Registry
from taskq.typeoptions import Options
from tests.integration.steps import LEASE_S


def resize(path: str, width: Annotated[int, Meta(ge=1)] = 800) -> None:
    """Make a picture smaller."""


def resize_again(path: str, height: int) -> None:
    """Make a picture smaller in another way."""


def echo(payload: Any = "") -> None:
    """Say it again."""


def registry(**handlers: Any) -> Registry:
    found = Registry()
    for type_, function in handlers.items():
        found.add(type_.replace("__", "."), function, Options(max_retry=7 if function is resize else None))
    return found


def catalog(**handlers: Any) -> Published:
    return publish(registry(**handlers), Defaults())


OLD = catalog(image__resize=resize, echo=echo)
NEW = catalog(image__resize=resize_again, mail=echo)


def serving(queue: Queue, published: Published | None) -> str:
    """A live worker that published this catalog (None: one that never heard of catalogs)."""
    worker = f"w-{uuid.uuid4().hex[:8]}"
    info = {"host": "here", "catalog": published.digest} if published else {"host": "here"}
    queue.join(worker, LEASE_S, json.dumps(info).encode(), published)
    return worker
