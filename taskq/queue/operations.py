"""Operations: an action on many tasks, stored to be carried out by maintenance in steps, on any machine and one at a time.

The hash of an operation has `action` (JSON), `state`, `step` (how many were done), the counts, `errors` (JSON, the first
ones), `rest` (JSON: what is left), `holder` and `held_until` (the process that has it, and its lease), `stop` once somebody
wants it stopped, and its moments in ms.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec

from taskq.queue.inspect import Inspector
from taskq.queue.keys import Keys
from taskq.queue.scripts import load
from taskq.queue.selection import Filter

LEASE_S = 10.0
"""How long an operation waits for its holder to come back; longer than an outage of one command."""

KEPT_S = 7 * 86_400.0
MOST_LISTED = 100


class Kind(enum.StrEnum):
    """What is done to each task."""

    CANCEL = "cancel"
    REQUEUE = "requeue"
    DELETE = "delete"


class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for: what to do, why, and to which tasks, named one by one or described."""

    kind: Kind
    reason: str = ""
    ids: list[str] | None = None
    filter: Filter | None = None


class Fault(msgspec.Struct, frozen=True):
    """Why nothing could be done to a task."""

    task_id: str
    detail: str


class Rest(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is left to do: the tasks of the next step as queue and id, and where the search goes on after them: how many of
    the ids were dealt with, or the queue, which of its sets, and the last entry that was looked at. `found_all`: nowhere."""

    batch: list[tuple[str, str]] = []
    at: int = 0
    queue: str = ""
    source: int = 0
    score: float | None = None
    last: str = ""
    found_all: bool = False


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """An operation at a moment. Tasks that were `matched` were `done`, or `skipped` because they were not any more what was
    asked for, or `failed`; what is left is in the next step. `rest` None: it has not begun, or nothing is left."""

    id: str
    action: Action
    state: str
    step: int
    created_at_ms: int
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    stopping: bool = False
    matched: int = 0
    done: int = 0
    skipped: int = 0
    failed: int = 0
    errors: list[Fault] = []
    rest: Rest | None = None


class Operations:
    """All operations under one prefix. Every method is safe to repeat; all raise QueueUnavailable or QueueRefused."""

    def __init__(self, inspector: Inspector) -> None:
        self.inspector = inspector
        self._keys = Keys(inspector.prefix, "")

    def plan(self, operation_id: str, action: Action) -> Operation:
        """Store an operation. Raises QueueFull as well."""
        created = self._script("plan", operation_id, msgspec.json.encode(action))
        return Operation(id=operation_id, action=action, state="waiting", step=0, created_at_ms=int(created))

    def get(self, operation_id: str) -> Operation | None:
        """One operation; None when there is none, or none any more."""
        key = self._keys.operation_prefix + operation_id
        fields: Any = self.inspector.link.run(lambda client: client.hgetall(key))
        return _operation(operation_id, fields) if fields else None

    def newest(self) -> list[Operation]:
        """The last operations that were asked for, the newest first."""
        ids: Any = self.inspector.link.run(lambda client: client.zrevrange(self._keys.operations, 0, MOST_LISTED - 1))
        found = [self.get(operation_id.decode()) for operation_id in ids]
        return [operation for operation in found if operation is not None]

    def take(self, holder: str) -> Operation | None:
        """The operation to go on with; None when there is none, or when another process has it."""
        reply = self._script("take", holder, round(LEASE_S * 1000))
        return _operation(reply[0].decode(), dict(zip(reply[1::2], reply[2::2], strict=True))) if reply else None

    def advance(self, holder: str, after: Operation) -> str:
        """Note that a step was done: `after` has the counts since the beginning, and what is left. Returns the state of the
        operation, "" when another process has it by now."""
        rest = b"" if after.rest is None else msgspec.json.encode(after.rest)
        counts = (after.matched, after.done, after.skipped, after.failed, msgspec.json.encode(after.errors))
        reply = self._script("advance", after.id, holder, after.step, *counts, rest, round(KEPT_S * 1000))
        return str(reply.decode())

    def halt(self, operation_id: str) -> bool:
        """Have an operation go no further than the step that it is in; False when there is none."""
        return bool(self._script("halt", operation_id))

    def _script(self, name: str, *args: Any) -> Any:
        script = load(name)
        return self.inspector.link.script(script, [getattr(self._keys, key) for key in script.keys], args)


def _operation(operation_id: str, fields: Mapping[bytes, bytes]) -> Operation:
    def number(name: bytes) -> int | None:
        return int(fields[name]) if name in fields else None

    rest = fields.get(b"rest")
    return Operation(
        id=operation_id,
        action=msgspec.json.decode(fields[b"action"], type=Action),
        state=fields[b"state"].decode(),
        step=int(fields[b"step"]),
        created_at_ms=int(fields[b"created_at"]),
        started_at_ms=number(b"started_at"),
        finished_at_ms=number(b"finished_at"),
        stopping=b"stop" in fields,
        matched=number(b"matched") or 0,
        done=number(b"done") or 0,
        skipped=number(b"skipped") or 0,
        failed=number(b"failed") or 0,
        errors=msgspec.json.decode(fields.get(b"errors", b"[]"), type=list[Fault]),
        rest=msgspec.json.decode(rest, type=Rest) if rest else None,
    )
