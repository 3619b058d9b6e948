"""Clients: they submit tasks while everything breaks, note what was accepted, and ask at the end what became of it."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.task import NewTask, Priority, Status

from .seen import Journal, now

REQUEST_LIMIT_S = 10.0
PAGE = 500
BATCH = 1_000
UNANSWERED = 0

_numbers = itertools.count(1)


class Order(NamedTuple):
    """A task to submit."""

    type: str
    payload: dict[str, float] | None = None
    priority: Priority = Priority.NORMAL


class Batch(NamedTuple):
    """Tasks to submit one after the other, and the seconds to wait after them."""

    orders: Sequence[Order]
    pause_s: float


class Client:
    """One keep-alive connection to an API, made anew after every error. Not thread-safe."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, http.client.HTTPMessage, Any]:
        """Status, headers and decoded body. Raises OSError or HTTPException when no whole answer came."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=REQUEST_LIMIT_S)
        try:
            data = None if body is None else json.dumps(body).encode()
            kind = {"Content-Type": "application/json"} if data else {}
            self._connection.request(method, path, data, {**kind, **(headers or {})})
            response = self._connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return response.status, response.headers, json.loads(raw) if raw else None

    def submit(self, order: Order, journal: Journal) -> str | None:
        """POST one task and note the answer; its id if it was accepted."""
        body = {"type": order.type, "priority": order.priority, "payload": order.payload or {}}
        try:
            status, _, answer = self.request("POST", "/tasks", body)
        except (OSError, http.client.HTTPException):
            journal.note("answered", UNANSWERED, now())
            return None
        if status != http.HTTPStatus.CREATED:
            journal.note("answered", status, now())
            return None
        journal.note("accepted", answer["id"], order.type, now())
        return str(answer["id"])

    def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Load(threading.Thread):
    """A client that submits batches until it is told to stop or there are no more."""

    def __init__(self, port: int, seen: Path, batches: Iterator[Batch]) -> None:
        super().__init__(daemon=True)
        self.accepted: list[str] = []
        self._client = Client(port)
        self._journal = Journal(seen / f"client-{next(_numbers)}.seen")
        self._batches = batches
        self._over = threading.Event()

    def run(self) -> None:
        for batch in self._batches:
            for order in batch.orders:
                if self._over.is_set():
                    return
                task_id = self._client.submit(order, self._journal)
                if task_id is not None:
                    self.accepted.append(task_id)
                else:
                    self._over.wait(0.05)
            self._over.wait(batch.pause_s)

    def finish(self) -> None:
        """Submit no more; returns when the last answer is there."""
        self._over.set()
        self.join()
        self._client.close()
        self._journal.close()


def bursts(rng: random.Random, size: int, every_s: float, kinds: Sequence[Order]) -> Iterator[Batch]:
    """Bursts of about `size` tasks with idle time between them, so that workers wait when a task comes."""
    while True:
        yield Batch(rng.choices(kinds, k=rng.randint(size // 2, size + size // 2)), every_s)


def steady(rng: random.Random, per_s: float, kinds: Sequence[Order]) -> Iterator[Batch]:
    """One task after the other, about `per_s` a second."""
    while True:
        yield Batch([rng.choice(kinds)], rng.uniform(0.5, 1.5) / per_s)


class Feed:
    """Enqueues without the API. Not thread-safe."""

    def __init__(self, url: str, seen: Path) -> None:
        self.accepted: list[str] = []
        self.link = Link(url, patience_s=30.0)
        self.queue = Queue(self.link)
        self.inspector = Inspector(self.link)
        self._journal = Journal(seen / f"feed-{next(_numbers)}.seen")

    def add(self, orders: Sequence[Order]) -> list[str]:
        """Enqueue tasks in steps of up to BATCH; their ids."""
        added: list[str] = []
        for first in range(0, len(orders), BATCH):
            news = [_new_task(order) for order in orders[first : first + BATCH]]
            self.queue.enqueue_many(news)
            for new in news:
                self._journal.note("accepted", new.id, new.type, now())
            added += [new.id for new in news]
        self.accepted += added
        return added

    def ended(self, task_ids: Sequence[str]) -> bool:
        """True once all of these have ended for good."""
        tasks = map(self.inspector.get, task_ids)
        return all(task is not None and task.status.final for task in tasks)

    def waiting(self) -> int:
        """How many tasks wait in the queue."""
        return self.inspector.state(self.queue.name).counts[Status.PENDING]

    def close(self) -> None:
        """Drop connections and file."""
        self.link.close()
        self._journal.close()


def settle(port: int, accepted: Sequence[str], seen: Path, limit_s: float) -> None:
    """Wait until every accepted task has ended, at most `limit_s`, then note of each what GET tells."""
    client = Client(port)
    deadline = time.monotonic() + limit_s
    while True:
        found = _pages(client)
        waiting = [task_id for task_id in accepted if not _ended(found.get(task_id))]
        if not waiting or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    for task_id in waiting:  # a page may have missed it
        status, _, task = client.request("GET", f"/tasks/{task_id}")
        if status == http.HTTPStatus.OK:
            found[task_id] = task
    client.close()
    journal = Journal(seen / "finals.seen")
    for task in found.values():
        _note_final(journal, task)
    journal.close()


def _new_task(order: Order) -> NewTask:
    payload = json.dumps(order.payload).encode() if order.payload else None
    return NewTask(id=str(uuid.uuid4()), type=order.type, payload=payload, priority=order.priority)


def _pages(client: Client) -> dict[str, dict[str, Any]]:
    """Every task there is, by id."""
    found: dict[str, dict[str, Any]] = {}
    cursor: str | None = ""
    while cursor is not None:
        status, headers, page = client.request("GET", f"/tasks?limit={PAGE}" + (f"&cursor={cursor}" if cursor else ""))
        assert status == http.HTTPStatus.OK, f"GET /tasks answered {status}: {page}"
        found |= {task["id"]: task for task in page}
        cursor = headers.get("X-Next-Cursor")
    return found


def _ended(task: dict[str, Any] | None) -> bool:
    return task is not None and task["status"] in ("completed", "failed", "cancelled")


def _note_final(journal: Journal, task: dict[str, Any]) -> None:
    result = task.get("result") or {}
    journal.note(
        "final",
        task["id"],
        task["status"],
        task["attempt"],
        task["retries"],
        task["crashes"],
        result.get("value", "-"),
        result.get("attempt", 0),
        task.get("error_detail", {}).get("kind", "-"),
    )
