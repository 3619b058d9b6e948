"""How the tasks of a batch are made and stored: one step after the other, and while Redis stores one the next is made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from taskq.api.admission import Admitter
from taskq.api.body import invalid_body
from taskq.api.context import ApiContext
from taskq.api.errors import ApiError, explain, key_taken
from taskq.api.submission import new_task
from taskq.api.views import enqueued_task
from taskq.errors import QueueError, UniqueKeyTaken
from taskq.ids import derived_ids
from taskq.queue.answers import Enqueued
from taskq.queue.bulk import enqueue_steps
from taskq.queue.inspect import Inspector
from taskq.task import NAME, NewTask, Task
from taskq.tracecontext import TraceContext

FIRST, STEP = 25, 325
"""Tasks of the first and of each other step: few, so that Redis begins soon, and enough to make up for the trip. While it
stores the first one nothing is made, because that may have to load the script."""

Planned = NewTask | ApiError
Outcome = Task | ApiError


class Planner:
    """Makes tasks of the items of a batch, each once and when it is first wanted. Their ids follow from `base`."""

    def __init__(self, context: ApiContext, items: Sequence[Any], base: str) -> None:
        self._context = context
        self._items = items
        self._ids = derived_ids(base, len(items))
        self._fields: dict[str, Any] = {}
        self._admitter = Admitter(context)
        self._planned: dict[int, Planned] = {}

    @property
    def places(self) -> range:
        """The place of each item."""
        return range(len(self._items))

    def plan(self, at: int) -> Planned:
        """What the item at this place asks for, or why it is refused. Raises QueueError where it must ask Redis."""
        planned = self._planned.get(at)
        if planned is None:
            planned = self._planned[at] = self._make(at)
        return planned

    def all(self) -> list[Planned]:
        """What each item asks for, or why it is refused."""
        return [self.plan(at) for at in self.places]

    def news(self, places: Sequence[int]) -> list[NewTask]:
        """The tasks to store of the items at these places."""
        return [new for new in map(self.plan, places) if isinstance(new, NewTask)]

    def unstored(self, at: int, failure: QueueError | None) -> ApiError:
        """Why the item at this place was not stored: its own fault, or else that nothing more could be."""
        planned = self._planned.get(at)
        if isinstance(planned, ApiError):
            return planned
        assert failure is not None
        return ApiError(*explain(failure), retry=True)

    def are_alike(self, places: Sequence[int]) -> bool:
        """Whether the tasks of the items at these places can differ in nothing but id and payload, and nothing is asked of
        the other tasks that there are."""
        first, *others = (self._items[at] for at in places)
        if not isinstance(first, dict) or first.get("unique_key") is not None or "repeat_s" in self._fields:
            return False
        rest = {name: value for name, value in first.items() if name != "payload"}
        return all(
            isinstance(item, dict) and {name: value for name, value in item.items() if name != "payload"} == rest
            for item in others
        )

    def repeat(self, base: str, repeat_s: float) -> None:
        """Have the ids follow from another base, and repeats of the tasks known for so long."""
        self._ids = derived_ids(base, len(self._items))
        self._fill(repeat_s=repeat_s)

    def put_into(self, trace: TraceContext | None) -> None:
        """Have all tasks belong to this trace."""
        if trace is not None:
            self._fill(trace=trace)

    def by_queue(self) -> dict[str, list[int]]:
        """The places of the items by the queue that they name; what is no name of a queue counts as none."""
        default = self._context.settings.default_queue
        queues: dict[str, list[int]] = {}
        for at, item in enumerate(self._items):
            named = item.get("queue") if isinstance(item, dict) else None
            name = named if isinstance(named, str) and NAME.match(named) else default
            queues.setdefault(name, []).append(at)
        return queues

    def _make(self, at: int) -> Planned:
        item = self._items[at]
        if isinstance(item, ApiError):
            return item
        try:
            if not isinstance(item, dict):
                raise invalid_body("expected a JSON object")
            new = new_task(item, self._context, self._ids[at], self._admitter)
        except ApiError as error:
            return error
        return self._filled(at, new) if self._fields else new

    def _fill(self, **fields: Any) -> None:
        self._fields.update(fields)
        self._planned = {at: self._filled(at, planned) for at, planned in self._planned.items()}

    def _filled(self, at: int, planned: Planned) -> Planned:
        """The same with its id and with what holds for all tasks."""
        if isinstance(planned, NewTask):
            return msgspec.structs.replace(planned, id=self._ids[at], **self._fields)
        return planned


def store_whole(inspector: Inspector, news: Sequence[NewTask]) -> tuple[list[Outcome], set[int]]:
    """Store all tasks, which are for one queue, or none; and the places of those whose unique key is taken."""
    answers = inspector.queue(news[0].queue).enqueue_many(news, whole=True)
    outcomes = [_outcome(new, answer) for new, answer in zip(news, answers, strict=True)]
    return outcomes, {at for at, answer in enumerate(answers) if not answer.stored and answer.holder}


def store_each(inspector: Inspector, planner: Planner) -> list[Outcome]:
    """Store each task by itself; what became of each, in order. Raises QueueError if it kept all from being stored."""
    outcomes: dict[int, Outcome] = {}
    failure: QueueError | None = None
    for name, places in planner.by_queue().items():
        try:
            if failure is None:
                _store_in(inspector, name, places, planner, outcomes)
        except QueueError as error:
            failure = error
    if failure is not None and not outcomes:
        raise failure
    return [outcomes.get(at) or planner.unstored(at, failure) for at in planner.places]


def _store_in(
    inspector: Inspector, name: str, places: Sequence[int], planner: Planner, outcomes: dict[int, Outcome]
) -> None:
    """Store what is for one queue. `outcomes` gets what was stored also if this raises QueueError."""
    # A queue for which nothing is taken is not even looked at: any client could fill our memory with names.
    if not any(isinstance(planner.plan(at), NewTask) for at in places):
        return
    steps = [places[:FIRST], *(places[at : at + STEP] for at in range(FIRST, len(places), STEP))]
    answers: list[list[Enqueued]] = []
    try:
        making = [partial(planner.news, step) for step in steps]
        enqueue_steps(inspector.queue(name), making, answers, alike=planner.are_alike(places))
    finally:
        for step, answered in zip(steps, answers, strict=False):
            stored = [at for at in step if isinstance(planner.plan(at), NewTask)]
            outcomes.update(zip(stored, map(_outcome, planner.news(step), answered), strict=True))


def _outcome(new: NewTask, answer: Enqueued) -> Outcome:
    if answer.stored:
        return enqueued_task(new, answer)
    return key_taken(UniqueKeyTaken(new.unique_key or "", answer.holder or ""))
