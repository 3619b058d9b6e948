"""Clients of the soak: they do all that a client can do, also what is refused, and note what must have run at the end."""

from __future__ import annotations

import http.client
import random
import threading
import uuid
from collections import Counter, deque
from pathlib import Path
from typing import Any

from .load import UNANSWERED, Client
from .seen import Journal, now

EXPECTED = {UNANSWERED, 200, 201, 202, 204, 404, 409, 503}
"""Answers that faults, and the requests of other clients, lead to; 0: none came."""

KINDS = ("quick", "busy", "nap", "stumble", "chatty")
REMEMBERED = 200
READS = ("/tasks?limit=50", "/queues", "/workers", "/types", "/schedules", "/health", "/tasks?status=failed&limit=10")


class Wanderer(threading.Thread):
    """One client that chooses at random what it does next; while the queue is `full` it only reads. `doomed` are tasks that
    may end in any way."""

    def __init__(self, seed: str, port: int, journal: Path, full: threading.Event) -> None:
        super().__init__(daemon=True)
        self.answers: Counter[int] = Counter()
        self._client = Client(port)
        self._journal = Journal(journal)
        self._rng = random.Random(seed)
        self._doomed: deque[str] = deque(maxlen=REMEMBERED)
        self._full = full
        self._over = threading.Event()

    def run(self) -> None:
        actions = {self._post: 8, self._repeat: 2, self._batch: 1, self._doom: 4, self._meddle: 4, self._read: 4}
        while not self._over.is_set():
            action = self._rng.choices(list(actions), list(actions.values()))[0]
            (self._read if self._full.is_set() else action)()
            self._over.wait(self._rng.uniform(0.0, 0.06))
        self._client.close()
        self._journal.close()

    def finish(self) -> None:
        """Returns when the last answer is there."""
        self._over.set()
        self.join()

    def _ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        try:
            status, _, answer = self._client.request(method, path, body, headers)
        except (OSError, http.client.HTTPException):
            status, answer = UNANSWERED, None
        self.answers[status] += 1
        return status, answer

    def _task(self) -> dict[str, Any]:
        payload = {"seconds": self._rng.choice((0.01, 0.05, 0.2))}
        kind = self._rng.choice(KINDS)
        task: dict[str, Any] = {"type": kind, "payload": {} if kind in ("quick", "stumble") else payload, "tags": ["soak"]}
        if self._rng.random() < 0.2:
            task["delay"] = round(self._rng.uniform(0.0, 2.0), 2)
        return task | {"priority": self._rng.choice(("high", "normal", "normal", "low"))}

    def _note(self, answer: dict[str, Any]) -> None:
        self._journal.note("accepted", answer["id"], answer["type"], now())

    def _post(self) -> None:
        status, answer = self._ask("POST", "/tasks", self._task())
        if status == http.HTTPStatus.CREATED:
            self._note(answer)

    def _repeat(self) -> None:
        """Twice the same request under one key."""
        task, key = self._task(), {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(2):
            status, answer = self._ask("POST", "/tasks", task, key)
            if status == http.HTTPStatus.CREATED:
                self._note(answer)

    def _batch(self) -> None:
        tasks = [self._task() for _ in range(self._rng.randint(2, 30))]
        status, entries = self._ask("POST", "/tasks/batch", {"tasks": tasks})
        for entry in entries if status == http.HTTPStatus.OK else ():
            if entry["status"] == http.HTTPStatus.CREATED:
                self._note(entry["task"])

    def _doom(self) -> None:
        """A task that will be meddled with, that runs too long, or that waits too long."""
        extra: tuple[dict[str, Any], ...] = (
            {},
            {"timeout": 0.3, "max_retry": 1},
            {"expires_in": 0.5},
            {"unique_key": f"u{self._rng.randrange(20)}"},
        )
        task = {"type": "nap", "payload": {"seconds": self._rng.uniform(0.1, 2.0)}, **self._rng.choice(extra)}
        status, answer = self._ask("POST", "/tasks", task)
        if status == http.HTTPStatus.CREATED:
            self._doomed.append(answer["id"])

    def _meddle(self) -> None:
        if not self._doomed:
            return
        task_id = self._rng.choice(self._doomed)
        method, path = self._rng.choice((("POST", "/cancel"), ("POST", "/requeue"), ("DELETE", ""), ("GET", "/logs")))
        self._ask(method, f"/tasks/{task_id}{path}")

    def _read(self) -> None:
        self._ask("GET", self._rng.choice(READS))
