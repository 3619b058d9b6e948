"""What Redis knows about schedules: who has which, what their last ticks were, and the one step that fires a tick.

A machine publishes the schedules of its configuration, so that any API can show them. What has become of a schedule (its
last tick and task, a pause) is kept beside the queue that gets its tasks, so that firing is one step of that queue. All
methods are safe to repeat with the same arguments and raise QueueUnavailable, QueueFull or QueueRefused.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from taskq.queue.inspect import Inspector, Pause
from taskq.queue.keys import schedules_key
from taskq.queue.record import enqueue_args
from taskq.queue.scripts import load
from taskq.queue.tokens import Unanswered, new_token
from taskq.schedule import Schedule
from taskq.task import NewTask

FORGET_S = 60.0
"""A schedule that no machine has published for so long is no schedule any more."""


class Firing(enum.StrEnum):
    """What became of a tick. Only FIRED has enqueued a task."""

    FIRED = "fired"
    PAST = "past"
    EARLY = "early"
    PAUSED = "paused"
    SKIPPED = "skipped"


class Run(NamedTuple):
    """A task that a schedule enqueued at `at_ms`, for the tick at `due_ms` (None: by hand)."""

    at_ms: int
    task_id: str
    due_ms: int | None


class ScheduleState(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule at a moment. `skipped_ms` is the last tick at which the task of an earlier one had not ended."""

    schedule: Schedule
    paused: Pause | None = None
    last_run: Run | None = None
    skipped_ms: int | None = None


class Schedules:
    """The schedules under one prefix."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._unanswered = Unanswered()

    @property
    def prefix(self) -> str:
        """What all keys begin with."""
        return self._inspector.prefix

    def now_ms(self) -> int:
        """The present moment on Redis' clock."""
        return self._inspector.now_ms()

    # -- machines that have schedules

    def install(self, schedule: Schedule) -> int:
        """Get a schedule going; returns the last tick that was dealt with, in ms. For a new one, and one whose line has
        changed or that was disabled, that is the present moment. One that has moved to another queue goes on as it was."""
        former = self._published().get(schedule.name, schedule)
        known = self._known([former])[0] if former.queue != schedule.queue else {}
        line = " | ".join(schedule.line) if schedule.enabled else ""
        args = [line, known.get(b"tick", 0), *(part for pair in known.items() for part in pair)]
        last_ms = int(self._inspector.link.script(load("install"), [self._key(schedule)], args))
        if known:
            # or it would find its old pause here again if it moved back
            self._inspector.link.run(lambda client: client.unlink(self._key(former)))
        return last_ms

    def fire(self, schedule: Schedule, tick_ms: int, new: NewTask) -> Firing:
        """Enqueue the task of a tick, unless anybody has dealt with this tick or a later one before. `new` has the same id
        on every machine."""
        with self._unanswered.token(schedule.name, tick_ms) as token:
            return self._fire(schedule, tick_ms, token, new)

    def run(self, schedule: Schedule, new: NewTask) -> None:
        """Enqueue a task now, whatever the ticks and a pause say."""
        self._fire(schedule, 0, new_token(), new)

    def publish(self, schedules: Sequence[Schedule], *, forget: bool) -> list[str]:
        """Tell everybody that this machine has these schedules. With `forget` those that nobody has told of for FORGET_S are
        forgotten; returns their names."""
        definitions = [part for each in schedules for part in (each.name, msgspec.json.encode(each))]
        keys = [schedules_key(self.prefix), f"{schedules_key(self.prefix)}:seen"]
        args = [round(FORGET_S * 1000) if forget else 0, *definitions]
        return [name.decode() for name in self._inspector.link.script(load("publish"), keys, args)]

    # -- people

    def all(self) -> list[ScheduleState]:
        """Every schedule, by name."""
        published = [schedule for _, schedule in sorted(self._published().items())]
        return list(map(_state, published, self._known(published)))

    def get(self, name: str) -> ScheduleState | None:
        """One schedule."""
        schedule = self._published().get(name)
        return None if schedule is None else _state(schedule, self._known([schedule])[0])

    def pause(self, schedule: Schedule, reason: str = "") -> int:
        """Let its ticks pass without effect: once this returns, none enqueues a task. Returns since when, in ms."""
        return int(self._inspector.link.script(load("hold"), [self._key(schedule)], [reason]))

    def resume(self, schedule: Schedule) -> bool:
        """Let it tick again from now on. False if it was not paused."""
        return bool(self._inspector.link.script(load("unhold"), [self._key(schedule)], [new_token()]))

    # -- helpers

    def _fire(self, schedule: Schedule, tick_ms: int, token: str, new: NewTask) -> Firing:
        queue = self._inspector.queue(schedule.queue)
        queue.announce()
        script = load("fire")
        keys = [getattr(queue.keys, key) for key in script.keys[:-1]]
        args = [tick_ms, str(schedule.overlap), token, *enqueue_args(new)]
        return Firing(self._inspector.link.script(script, [*keys, self._key(schedule)], args).decode())

    def _key(self, schedule: Schedule) -> str:
        return self._inspector.queue(schedule.queue).keys.schedule(schedule.name)

    def _published(self) -> dict[str, Schedule]:
        stored: Any = self._inspector.link.run(lambda client: client.hgetall(schedules_key(self.prefix)))
        found = [(name.decode(), _definition(text)) for name, text in stored.items()]
        return {name: schedule for name, schedule in found if schedule is not None}

    def _known(self, schedules: Sequence[Schedule]) -> list[Mapping[bytes, bytes]]:
        def action(client: Any) -> list[Mapping[bytes, bytes]]:
            pipe = client.pipeline(transaction=False)
            for each in schedules:
                pipe.hgetall(self._key(each))
            return list(pipe.execute())

        return self._inspector.link.run(action)


def _definition(text: bytes) -> Schedule | None:
    """What a machine has published; None for what another version published and this one cannot read."""
    try:
        return msgspec.json.decode(text, type=Schedule)
    except msgspec.MsgspecError:
        return None


def _state(schedule: Schedule, known: Mapping[bytes, bytes]) -> ScheduleState:
    def number(name: bytes) -> int | None:
        return int(known[name]) if name in known else None

    since_ms = number(b"paused_at")
    runs = [
        Run(int(known[at]), known[task_id].decode(), number(b"due_at") if at == b"fired_at" else None)
        for at, task_id in ((b"run_at", b"run_id"), (b"fired_at", b"task_id"))
        if at in known
    ]
    return ScheduleState(
        schedule=schedule,
        paused=None if since_ms is None else Pause(since_ms, known.get(b"paused_reason", b"").decode()),
        last_run=max(runs, key=lambda run: run.at_ms, default=None),
        skipped_ms=number(b"skipped"),
    )
