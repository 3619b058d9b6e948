"""Clients that repeat each POST under its Idempotency-Key until it is answered, while replies are dropped at random."""

from __future__ import annotations

import http
import http.client
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .dropper import Dropper
from .load import UNANSWERED, Client
from .seen import Journal, now
from .stage import Evidence, Stage, pool

WORKERS = 2
CLIENTS = 6
BODY = {"type": "noop", "payload": {}}
OTHER_BODY = {"type": "noop", "payload": {}, "priority": "low"}
REPEATED = 0.1
"""The share of answered requests that are sent again, and of those after which another body is tried under their key."""


def posts(stage: Stage) -> Evidence:
    """Every key is posted until an answer comes; then what is stored is counted in Redis."""
    host = stage.host({"pools": pool(WORKERS), "logging": {"level": "warning"}})
    dropper = Dropper(stage.seen, host.port, f"{stage.plan.seed} dropper")
    keys = [f"{stage.plan.seed}-{number}" for number in range(stage.plan.posts)]
    posters = [
        Poster(f"{stage.plan.seed} {number}", dropper.port, stage.seen / f"poster-{number}.seen", keys[number::CLIENTS])
        for number in range(CLIENTS)
    ]
    try:
        for poster in posters:
            poster.start()
        for poster in posters:
            poster.join()
    finally:
        dropper.close()
    feed = stage.feed(host.url())
    stored: Any = feed.link.redis.zrange(feed.queue.keys.tasks, 0, -1)
    journal = Journal(stage.seen / "stored.seen")
    for task_id in stored:
        journal.note("stored", task_id.decode())
    journal.close()
    stage.accepted += sorted({task_id for poster in posters for task_id in poster.accepted})
    return stage.finish()


class Poster(threading.Thread):
    """One client with its share of the keys. `accepted` are the ids that it was told."""

    def __init__(self, seed: str, port: int, journal: Path, keys: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self._client = Client(port)
        self._journal = Journal(journal)
        self._keys = keys
        self._rng = random.Random(seed)

    def run(self) -> None:
        for key in self._keys:
            self._post(key)
            if self._rng.random() < REPEATED:
                self._post(key)
            if self._rng.random() < REPEATED:
                self._journal.note("other", key, self._answer(key, OTHER_BODY)[0])
        self._client.close()
        self._journal.close()

    def _post(self, key: str) -> None:
        status, body = self._answer(key, BODY)
        task_id = body.get("id", "-")
        self._journal.note("posted", key, status, task_id)
        if status in (http.HTTPStatus.CREATED, http.HTTPStatus.OK):
            self._journal.note("accepted", task_id, BODY["type"], now())
            self.accepted.append(task_id)

    def _answer(self, key: str, body: object) -> tuple[int, dict[str, Any]]:
        """The first whole answer; until then the request is sent again."""
        while True:
            try:
                status, _, answer = self._client.request("POST", "/tasks", body, {"Idempotency-Key": key})
            except (OSError, http.client.HTTPException, ValueError):
                answer = None  # ValueError: the head was cut and left a body that is no JSON
            if answer:
                return status, answer
            self._client.close()
            self._journal.note("answered", UNANSWERED, now())
