"""Every error that taskq raises on purpose, as one tree.

    TaskqError
      |- ConfigError          settings that cannot be used; carries all faults at once
      |- HandlerImportError   a module of task handlers that cannot be imported
      |- UnknownTaskType      no handler is registered under this name
      |- InvalidPayload       a payload that does not fit its handler's signature
      |- InvalidOptions       options of a task that cannot be used; carries all faults at once
      |- TaskFailed           a task whose result was wanted has failed
      |- TaskCancelled        a task whose result was wanted was cancelled
      |- WaitTimeout          a task whose result was wanted has not ended in time
      |- AttemptNotCompleted  an attempt that a test ran, and wanted to complete, did not
      |- ServiceNotStarted    the service that a test wanted did not start
      |- StartupError         the service cannot start; carries its exit code
      |- QueueError           anything between us and Redis
           |- QueueUnavailable   not reachable now; repeating later may help
           |- QueueFull          Redis is at maxmemory and takes nothing new
           |- QueueRefused       Redis answers, and the answer is no (credentials, rights, wrong kind of key)
           |- LeaseLost          this worker's lease lapsed; it must not go on
           |- TaskNotFound       no record bears this id
           |- TaskSpared         the task is not any more what an action on many tasks is about
           |- UniqueKeyTaken     another task that has not ended holds the unique key

`Retry` and `Fail` are not errors of taskq but words a handler says; `StopTask` is what a limit raises inside a handler.
Nothing here does I/O.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from taskq.task import Task


class ExitCode(enum.IntEnum):
    """Exit codes of every `taskq` command."""

    OK = 0
    ERROR = 1
    USAGE = 2
    NOT_FOUND = 3
    TASK_FAILED = 4
    TIMED_OUT = 5
    UNREACHABLE = 6
    BAD_CONFIG = 7
    SERVER_UNFIT = 8
    CANNOT_LISTEN = 9
    NO_BROKER = 10


class TaskqError(Exception):
    """Root of the tree."""


class Fault(NamedTuple):
    """One thing that is wrong with a setting: where it stands, what was expected there and what was found."""

    place: str
    key: str
    expected: str
    got: str
    hint: str = ""

    def __str__(self) -> str:
        sentence = f"{self.place}: {self.key}: expected {self.expected}, got {self.got}"
        return f"{sentence}; {self.hint}" if self.hint else sentence


class ConfigError(TaskqError):
    """Settings that cannot be used; `faults` has every one of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class HandlerImportError(TaskqError):
    """A module named in tasks.import that cannot be imported; the message has file and line."""


class UnknownTaskType(TaskqError):
    """No handler is registered under the type."""

    def __init__(self, type_: str) -> None:
        super().__init__(f"unknown task type: {type_}")
        self.type = type_


class InvalidPayload(TaskqError):
    """A payload that does not fit its handler; `pointer` is the JSON pointer of the part at fault ("" is the whole)."""

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(f"invalid payload: {detail}" + (f" at {pointer}" if pointer else ""))
        self.detail = detail
        self.pointer = pointer


class InvalidOptions(TaskqError, ValueError):
    """What was said about a task beside its payload cannot be used; `faults` maps each option at fault to what is wrong."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{option}: {detail}" for option, detail in faults.items()))
        self.faults = dict(faults)


class TaskFailed(TaskqError):
    """A task that was waited for has failed. `task` is its record; `task.error_detail` has the traceback."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"task {task.id} ({task.type}) failed: {task.error}")
        self.task = task


class TaskCancelled(TaskqError):
    """A task that was waited for was cancelled. `task` is its record."""

    def __init__(self, task: Task) -> None:
        super().__init__(f"task {task.id} ({task.type}) was {task.error or 'cancelled'}")
        self.task = task


class WaitTimeout(TaskqError, TimeoutError):
    """A task that was waited for has not ended in time; it goes on."""

    def __init__(self, task_id: str, timeout_s: float) -> None:
        super().__init__(f"task {task_id} has not ended within {timeout_s:g} s")
        self.task_id = task_id


class AttemptNotCompleted(TaskqError, AssertionError):
    """An attempt that a test ran, and wanted to complete, ended otherwise; the message has the traceback of its handler."""


class ServiceNotStarted(TaskqError):
    """The service that a test wanted did not start; the message has what it said."""


class StartupError(TaskqError):
    """The service cannot start. `exit_code` tells scripts and systemd why."""

    def __init__(self, message: str, exit_code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class QueueError(TaskqError):
    """Anything that goes wrong between us and Redis."""


class QueueUnavailable(QueueError):
    """Redis cannot be reached or is not ready; the same call may succeed later."""


class QueueFull(QueueError):
    """Redis is at maxmemory: nothing new is taken, what runs still ends."""


class QueueRefused(QueueError):
    """Redis refuses for a reason that waiting does not cure; the message says what to change."""


class LeaseLost(QueueError):
    """The lease of this worker lapsed: others may already run its task, so it must end."""


class TaskNotFound(QueueError):
    """No record bears this id."""

    def __init__(self, task_id: str) -> None:
        super().__init__("task not found")
        self.task_id = task_id


class TaskSpared(QueueError):
    """The task is not any more what an action on many tasks is about, so nothing was done to it."""


class UniqueKeyTaken(QueueError):
    """Another task of the queue holds the unique key and has not ended; `holder` is its id."""

    def __init__(self, unique_key: str, holder: str) -> None:
        super().__init__(f"the unique key {unique_key!r} is held by task {holder} until that has ended")
        self.unique_key = unique_key
        self.holder = holder


class Retry(Exception):
    """Raised by a handler: try again after `delay` seconds (None: the usual backoff). Uses one retry."""

    def __init__(self, reason: str = "retry requested", *, delay: float | None = None) -> None:
        super().__init__(reason)
        self.delay = delay


class Fail(Exception):
    """Raised by a handler: give up at once, whatever retries are left."""


class StopTask(BaseException):
    """Raised inside a running handler at a limit or on cancellation. Not an Exception, so that `except Exception` lets
    it through; a handler may catch it to clean up, and is killed if it goes on beyond the grace time."""

    def __init__(self, reason: str, limit_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.limit_s = limit_s
