"""The read side of what workers publish: which types each queue's live workers serve, and what those take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from taskq.catalog import Catalog, TypeInfo
from taskq.queue.connection import Link
from taskq.queue.keys import Keys

MAX_AGE_S = 2.0
"""How old what is told may be, unless it shall be fresh."""


class QueueTypes(msgspec.Struct, frozen=True):
    """One queue. `workers` has the catalog of each live worker (None: it told nothing), `catalogs` by digest those that
    were published last, also if no live worker serves them any more."""

    workers: Mapping[str, str | None]
    catalogs: Mapping[str, Catalog]

    def servers(self, type_: str) -> list[str]:
        """The live workers that serve a type."""
        return [worker for worker, digest in self.workers.items() if digest and type_ in self.catalogs[digest].types]

    def live(self) -> list[Catalog]:
        """The catalogs of live workers, each once, the most frequent first."""
        digests = [digest for digest in self.workers.values() if digest]
        return [self.catalogs[digest] for digest in sorted(set(digests), key=digests.count, reverse=True)]

    def told_all(self) -> bool:
        """True when there are live workers and all of them have told their types."""
        return bool(self.workers) and all(self.workers.values())

    def known(self, *, live: bool = False) -> dict[str, TypeInfo]:
        """Every type of a catalog, or of those of live workers only; what most of these say of it."""
        types: dict[str, TypeInfo] = {}
        for catalog in reversed(self.live() if live else list(self.catalogs.values())):
            types.update(catalog.types)
        return types


class _Info(msgspec.Struct, frozen=True):
    catalog: str | None = None


class PublishedTypes:
    """All queues under a prefix, read again when older than wanted. Safe to use from several threads."""

    def __init__(self, link: Link, names: Callable[[], Sequence[str]], keys: Callable[[str], Keys]) -> None:
        self._link = link
        self._names = names
        self._keys = keys
        self._lock = threading.Lock()
        self._catalogs: dict[str, Catalog] = {}
        self._queues: Mapping[str, QueueTypes] = {}
        self._read_at = float("-inf")

    def get(self, max_age_s: float = MAX_AGE_S) -> Mapping[str, QueueTypes]:
        """Each known queue's types. Raises QueueUnavailable or QueueRefused."""
        wanted = time.monotonic() - max_age_s
        if self._read_at < wanted:
            with self._lock:  # others that waited here meanwhile use what the first has read
                if self._read_at < wanted:
                    began_at = time.monotonic()
                    self._queues = self._read()
                    self._read_at = began_at
        return self._queues

    def _read(self) -> Mapping[str, QueueTypes]:
        keys = [self._keys(name) for name in self._names()]
        now, *replies = self._trip(
            lambda pipe: [
                pipe.time(),
                *(
                    reply
                    for each in keys
                    for reply in (
                        pipe.zrange(each.leases, 0, -1, withscores=True),
                        pipe.hgetall(each.workers),
                        pipe.hkeys(each.types),
                    )
                ),
            ]
        )
        now_ms = now[0] * 1000 + now[1] / 1000
        stored = [[digest.decode() for digest in digests] for digests in replies[2::3]]
        self._load(keys, stored)
        return {
            each.queue: QueueTypes(
                _live(leases, infos, now_ms, digests),
                {digest: self._catalogs[digest] for digest in digests if digest in self._catalogs},
            )
            for each, leases, infos, digests in zip(keys, replies[0::3], replies[1::3], stored, strict=True)
        }

    def _load(self, keys: Sequence[Keys], stored: Sequence[Sequence[str]]) -> None:
        """Read the catalogs that were never read before, and forget those that are no longer stored."""
        where = {digest: each.types for each, digests in zip(keys, stored, strict=True) for digest in digests}
        new = [digest for digest in where if digest not in self._catalogs]
        texts = self._trip(lambda pipe: [pipe.hget(where[digest], digest) for digest in new]) if new else []
        found = {digest: Catalog.decode(text) for digest, text in zip(new, texts, strict=True) if text is not None}
        self._catalogs = {digest: catalog for digest, catalog in self._catalogs.items() if digest in where} | found

    def _trip(self, commands: Callable[[Any], Sequence[Any]]) -> list[Any]:
        def action(client: Any) -> list[Any]:
            pipe = client.pipeline(transaction=False)
            commands(pipe)
            return list(pipe.execute())

        return self._link.run(action)


def _live(
    leases: Sequence[tuple[bytes, float]], infos: Mapping[bytes, bytes], now_ms: float, stored: Sequence[str]
) -> dict[str, str | None]:
    live: dict[str, str | None] = {}
    for worker, ends_at in leases:
        if ends_at > now_ms:
            digest = _digest(infos.get(worker, b"{}"))
            live[worker.decode()] = digest if digest in stored else None
    return live


def _digest(info: bytes) -> str | None:
    try:
        return msgspec.json.decode(info, type=_Info).catalog
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
