"""Whether a task may come in at all: its queue and type are known to somebody, and its payload is what the type takes.

A type whose code this process has is checked by that code, any other by what the live workers of the queue have published.
Before anybody has published anything everything is taken. Nobody is refused on old knowledge: a worker may have joined
since.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from taskq.api.context import ApiContext
from taskq.catalog import Catalog
from taskq.errors import InvalidPayload, UnknownTaskType
from taskq.faults import faults
from taskq.queue.types import QueueTypes
from taskq.registry import Handler

MOST_NAMED = 100
"""Known types or queues that a refusal lists at most."""


class Unknown(NamedTuple):
    """A type or queue that nobody knows: the member at fault, a sentence, what was expected, and the known ones."""

    member: str
    sentence: str
    detail: str
    known: list[str]


class Admission(NamedTuple):
    """What is known about a task that is to come in. `max_retry` None: its type does not say."""

    max_retry: int | None = None
    unknown: Unknown | None = None
    faults: Sequence[InvalidPayload] = ()


class Admitter:
    """Looks up the tasks of one request. Raises QueueError where it must ask Redis."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._began_at = time.monotonic()

    def admit(self, type_: str, queue: str, payload: bytes | None) -> Admission:
        """What is known about a task with this type, queue and payload (JSON text)."""
        context = self._context
        handler = _handler(context, type_)
        if handler is not None and queue in context.own_queues:
            return _by_code(handler, payload)
        admission = _look_up(context, handler, type_, queue, payload, context.inspector.types())
        if admission.unknown or admission.faults:
            fresh = context.inspector.types(max_age_s=time.monotonic() - self._began_at)
            admission = _look_up(context, handler, type_, queue, payload, fresh)
        return admission


def as_members(unknown: Unknown) -> Mapping[str, Any]:
    """What a refusal tells beside its sentence."""
    return {f"known_{unknown.member}s": unknown.known}


def _handler(context: ApiContext, type_: str) -> Handler | None:
    try:
        return context.registry.get(type_)
    except UnknownTaskType:
        return None


def _by_code(handler: Handler, payload: bytes | None) -> Admission:
    return Admission(handler.options.max_retry, faults=faults(handler.signature, payload))


def _look_up(
    context: ApiContext,
    handler: Handler | None,
    type_: str,
    queue: str,
    payload: bytes | None,
    published: Mapping[str, QueueTypes],
) -> Admission:
    unknown = _unknown_queue(context, queue, published)
    if unknown is not None:
        return Admission(unknown=unknown)
    if handler is not None:
        return _by_code(handler, payload)
    types = published.get(queue)
    if types is None:
        return Admission()
    catalogs = types.live() or list(types.catalogs.values())
    told = [catalog for catalog in catalogs if type_ in catalog.types]
    if told:
        return Admission(told[0].types[type_].max_retry, faults=_least_faults(told, type_, payload))
    return Admission(unknown=_unknown_type(context, type_, queue, types))


def _unknown_queue(context: ApiContext, queue: str, published: Mapping[str, QueueTypes]) -> Unknown | None:
    served = {name for name, types in published.items() if types.workers or types.catalogs}
    if queue in served or queue in context.own_queues or not any(types.live() for types in published.values()):
        return None
    return _unknown("queue", "unknown queue", queue, served | context.own_queues)


def _unknown_type(context: ApiContext, type_: str, queue: str, types: QueueTypes) -> Unknown | None:
    if not types.told_all():
        return None
    own = context.registry.types() if queue in context.own_queues else []
    served = {name for catalog in types.live() for name in catalog.types}
    return _unknown("type", "unknown task type", type_, served.union(own))


def _least_faults(catalogs: Sequence[Catalog], type_: str, payload: bytes | None) -> Sequence[InvalidPayload]:
    """While workers of two versions serve a type, it is enough that one of them takes the payload."""
    found = [faults(catalog.signature(type_), payload) for catalog in catalogs]
    return min(found, key=len)


def _unknown(member: str, what: str, name: str, known: Iterable[str]) -> Unknown:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    shown = ", ".join(names[:MOST_NAMED]) or "none"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return Unknown(member, f"{what}: {name}{hint}", f"expected one of {shown}{more}, got {name!r}{hint}", names[:MOST_NAMED])
