"""What those who submit tasks hold: `Queue`, as `taskq.Queue` the public way to submit a task of any type."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from taskq import spans
from taskq.client.options import IDEMPOTENCY_KEY, NO_OPTIONS, OF_ONE_TASK, fields_for_many, fields_of
from taskq.client.payload import Check, Checker, encode_payload, encode_payloads
from taskq.client.place import Place, configured_place
from taskq.client.receipt import Decode, Receipt, Source, wait_for_result
from taskq.errors import InvalidOptions, TaskNotFound
from taskq.ids import new_id
from taskq.members import name
from taskq.queue import queue as verbs
from taskq.queue.alike import STEP, Alike, enqueue_alike
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from taskq.queue.repeats import KEPT_S, Claim, claim
from taskq.registry import registry
from taskq.task import NewTask, Status, Task

PATIENCE_S = 5.0
"""How long a call goes on trying while Redis is away: somewhat longer than a failover takes."""

MOST_WAYS = 128
"""Types and options for which it is kept how they are submitted."""


class Queue:
    """Submits tasks and looks after those that were submitted. Safe in threads and after a fork; connects when first used.

    The options of a submission are `queue`, `priority`, `delay` (seconds, "5m" or timedelta) or `run_at` (a datetime
    with time zone, or RFC 3339), `max_retry`, `timeout`, `expires_in`, `unique_key` (UniqueKeyTaken tells who has it),
    `tags`, `idempotency_key` (a repeat within 24 h gets the first task), `traceparent` and `tracestate`. Calls raise
    QueueUnavailable once Redis has been away for `patience_s`, QueueFull at its maxmemory, QueueRefused when it says no,
    InvalidOptions and InvalidPayload.
    """

    def __init__(self, place: Place | str, *, queue: str = "default", patience_s: float = PATIENCE_S) -> None:
        self.place = Place(url=place) if isinstance(place, str) else place
        self.queue = queue
        link = Link(self.place.url, patience_s=patience_s, hint=self.place.hint)
        self.inspector = Inspector(link, prefix=self.place.prefix)
        self._checks: dict[str, Check] = {}
        self._ways = lru_cache(MOST_WAYS)(self._way)

    @classmethod
    def from_config(cls, path: Path | str | None = None, *, queue: str = "default") -> Self:
        """The queue that the configuration names, as the service reads it: the file (None: the one in TASKQ_CONFIG, if
        any), the environment and `.env`. Raises ConfigError."""
        return cls(configured_place(None if path is None else Path(path)), queue=queue)

    # -- submitting

    def enqueue(self, type_: str, payload: Any = msgspec.UNSET, /, **options: Any) -> Receipt[Any]:
        """Submit one task; it is stored when this returns. The payload is any value that JSON can say, or left out.

        It is checked if the type's handler is known to this process, and by the worker in any case.
        """
        text = None if payload is msgspec.UNSET else encode_payload(payload)
        check = self._check(type_)
        if check is not None:
            check(text)
        return self.submit(type_, text, fields_of(options) if options else NO_OPTIONS)

    def enqueue_many(self, type_: str, payloads: Iterable[Any], /, **options: Any) -> list[Receipt[Any]]:
        """Submit one task for each payload, all with the same options; the receipts are in the same order.

        Every payload is checked before any task is stored. They are stored in steps of 1,000, each all or none: when Redis
        goes away for good, the first steps may have been stored.
        """
        texts = encode_payloads(payloads, self._check(type_))
        return self.submit_many(type_, texts, fields_for_many(options))

    def submit(
        self, type_: str, payload: bytes | None, fields: Mapping[str, Any], decode: Decode = msgspec.json.decode
    ) -> Receipt[Any]:
        """Store one task whose payload (JSON text) and fields were checked; `decode` reads its result."""
        if spans.possible() or (fields and not fields.keys().isdisjoint(OF_ONE_TASK)):
            return self._submit_one(self._new(type_, payload, fields), fields.get(IDEMPOTENCY_KEY), decode)
        told = tuple(fields.items()) if fields else ()
        alike, source = self._ways(type_, registry.max_retry(type_, self.place.max_retry), decode, told)
        task_id = new_id()
        return Receipt(task_id, source, alike.enqueue(task_id, payload))

    def submit_many(
        self, type_: str, payloads: list[bytes], fields: Mapping[str, Any], decode: Decode = msgspec.json.decode
    ) -> list[Receipt[Any]]:
        """Store one task for each payload; see `submit`."""
        like = self._new(type_, None, fields)
        with spans.enqueueing(like.trace, queue=like.queue, type_=type_, count=len(payloads)) as trace:
            ids, answers = enqueue_alike(self.store(like.queue), replace(like, trace=trace), payloads)
        source = Source(self, type_, like.queue, decode)
        return [Receipt(task_id, source, answers[at // STEP]) for at, task_id in enumerate(ids)]

    # -- looking after tasks

    def get(self, task_id: str, *, queue: str | None = None) -> Task:
        """One task as it is now; `queue` spares the search for it. Raises TaskNotFound."""
        task = self.inspector.get(task_id, queue=queue)
        if task is None:
            raise TaskNotFound(task_id)
        return task

    def wait(self, task_id: str, timeout: float | str | None = None) -> Any:
        """The result of a task; see `Receipt.wait`."""
        return wait_for_result(self, task_id, self.find(task_id).name, timeout, msgspec.json.decode)

    def cancel(self, task_id: str, reason: str = "", *, queue: str | None = None) -> Status:
        """End a task that has not ended; returns the status it had. Raises TaskNotFound."""
        return self.find(task_id, queue).cancel(task_id, reason)

    def store(self, queue: str) -> verbs.Queue:
        """The write side of one queue."""
        return self.inspector.queue(queue)

    def find(self, task_id: str, queue: str | None = None) -> verbs.Queue:
        """The write side of the queue that holds a task. Raises TaskNotFound."""
        found = queue or self.inspector.locate(task_id)
        if found is None:
            raise TaskNotFound(task_id)
        return self.store(found)

    def close(self) -> None:
        """Close every connection; the next call opens new ones."""
        self.inspector.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    # -- helpers

    def _way(self, type_: str, max_retry: int, decode: Decode, fields: tuple[tuple[str, Any], ...]) -> tuple[Alike, Source]:
        """What submits tasks of a type with these fields, and what their receipts have in common."""
        like = self._new(type_, None, {"max_retry": max_retry, **dict(fields)})
        return Alike(self.store(like.queue), like), Source(self, type_, like.queue, decode)

    def _new(self, type_: str, payload: bytes | None, fields: Mapping[str, Any]) -> NewTask:
        try:
            name(type_)
        except ValueError as error:
            raise InvalidOptions({"type": str(error)}) from None
        own = {name: value for name, value in fields.items() if name != IDEMPOTENCY_KEY}
        defaults = {"queue": self.queue, "max_retry": registry.max_retry(type_, self.place.max_retry)}
        return NewTask(id=new_id(), type=type_, payload=payload, **{**defaults, **own})

    def _submit_one(self, new: NewTask, key: str | None, decode: Decode) -> Receipt[Any]:
        if key is not None:
            new = self._as_first_submitted(key, new)
        with spans.enqueueing(new.trace, queue=new.queue, type_=new.type, task_id=new.id) as trace:
            created, due, _ = self.store(new.queue).enqueue(replace(new, trace=trace) if trace else new)
        return Receipt(
            new.id, Source(self, new.type, new.queue, decode), b"%d %d" % (created, due) if due else b"%d" % created
        )

    def _as_first_submitted(self, key: str, new: NewTask) -> NewTask:
        """The task that the first submission with this key made or makes: a repeat stores nothing."""
        told = msgspec.structs.asdict(replace(new, id=""))
        del told["trace"]  # each try may be another span of its caller's
        fingerprint = hashlib.sha256(msgspec.json.encode(told)).hexdigest()
        wanted = Claim(new.id, new.queue, same=True)
        held = claim(self.inspector.link, self.inspector.prefix, key, wanted, fingerprint)
        if not held.same:
            raise InvalidOptions({IDEMPOTENCY_KEY: "expected one of its own; this one was used for another submission"})
        return replace(new, id=held.task_id, queue=held.queue, repeat_s=KEPT_S)

    def _check(self, type_: str) -> Check | None:
        """What checks payloads of the type; None if its handler is in another process."""
        check = self._checks.get(type_)
        if check is None and (handler := registry.find(type_)) is not None:
            check = self._checks[type_] = Checker(handler.signature).check
        return check
