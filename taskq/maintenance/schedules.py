"""The duties of schedules: fire what is due, tell everybody which schedules this machine has.

Every machine that has a schedule fires each of its ticks; Redis lets the first one through and turns the others down, so it
does not matter which of them is alive. The moment of a tick is a moment on Redis' clock.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import msgspec

from taskq.config import Config
from taskq.errors import QueueError, QueueFull, QueueRefused
from taskq.log import emit
from taskq.queue.schedules import FORGET_S, Firing, Schedules
from taskq.registry import Registry
from taskq.schedule import CatchUp, Overlap, Schedule, due_ticks, missed_tick, next_tick, task_id
from taskq.task import Priority

QUIET_S = 5.0
"""How long a schedule is left alone that Redis has no room for, or refuses."""


class Entry(msgspec.Struct):
    """A schedule of this machine, the last tick that was dealt with, and the next one (None: there is none). It is left
    alone until `quiet_until` on the monotonic clock."""

    schedule: Schedule
    installed: bool = False
    last_ms: int = 0
    next_ms: int | None = None
    quiet_until: float = 0.0


class Timekeeper:
    """Fires the schedules of one machine."""

    def __init__(self, schedules: Schedules, own: Sequence[Schedule]) -> None:
        self.schedules = schedules
        self.entries = [Entry(schedule) for schedule in own]
        self._began_at = time.monotonic()

    def fire(self) -> bool:
        """Enqueue what is due by now. One schedule that cannot be fired holds up no other."""
        if not self.entries:
            return False
        trouble: QueueError | None = None
        now_ms = self.schedules.now_ms()
        for entry in self.entries:
            if time.monotonic() < entry.quiet_until:
                continue
            try:
                self._look_at(entry, now_ms)
            except (QueueFull, QueueRefused) as error:
                entry.quiet_until = time.monotonic() + QUIET_S
                trouble = trouble or error
        if trouble is not None:
            raise trouble
        return False

    def publish(self) -> bool:
        """Keep our schedules known, and forget those that no machine has any more."""
        if all(entry.installed for entry in self.entries):
            # whoever has just come back after an outage would be the only one to have told of its schedules
            settled = time.monotonic() - self._began_at > FORGET_S
            self.schedules.publish([entry.schedule for entry in self.entries], forget=settled)
        return False

    def _look_at(self, entry: Entry, now_ms: int) -> None:
        schedule = entry.schedule
        if not entry.installed:
            entry.last_ms = self.schedules.install(schedule)
            entry.next_ms = next_tick(schedule.line, entry.last_ms) if schedule.enabled else None
            entry.installed = True
        if entry.next_ms is None or entry.next_ms > now_ms:
            return
        due = due_ticks(schedule.line, entry.last_ms, now_ms, schedule.catch_up)
        missed_ms = missed_tick(schedule.line, entry.last_ms, now_ms)
        for tick_ms in due:
            if self._fire(schedule, tick_ms) is Firing.EARLY:
                return  # the clock of Redis was put back meanwhile
            entry.last_ms = tick_ms
        if missed_ms is not None and missed_ms not in due:
            emit("schedule.missed", logging.WARNING, schedule=schedule.name, queue=schedule.queue, due_ms=missed_ms)
        entry.last_ms = max(entry.last_ms, now_ms)
        entry.next_ms = next_tick(schedule.line, entry.last_ms)

    def _fire(self, schedule: Schedule, tick_ms: int) -> Firing:
        new = schedule.task(task_id(self.schedules.prefix, schedule.name, tick_ms))
        firing = self.schedules.fire(schedule, tick_ms, new)
        if firing is Firing.FIRED:
            emit(
                "schedule.fired",
                schedule=schedule.name,
                task_id=new.id,
                type=new.type,
                queue=new.queue,
                due_ms=tick_ms,
            )
        elif firing is Firing.SKIPPED:
            emit("schedule.skipped", schedule=schedule.name, type=new.type, queue=new.queue, due_ms=tick_ms)
        return firing


def schedules_of(config: Config, registry: Registry) -> list[Schedule]:
    """The schedules of a configuration, with what their types say about retries."""
    return [
        Schedule(
            name=name,
            cron=each.cron,
            timezone=each.timezone,
            type=each.type,
            payload=each.payload,
            queue=each.queue,
            priority=Priority(each.priority),
            overlap=Overlap(each.overlap),
            catch_up=CatchUp(each.catch_up),
            enabled=each.enabled,
            max_retry=registry.max_retry(each.type, config.tasks.defaults.max_retry),
        )
        for name, each in config.schedules.items()
    ]
