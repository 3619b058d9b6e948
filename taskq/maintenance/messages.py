"""What the supervisor and maintenance tell each other over their pipe: JSON, one message each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from taskq.task import Progress
from taskq.tray import Unsent


class Born(msgspec.Struct, frozen=True, tag=True):
    """A worker was forked; it sits in slot `seat` of the shared memory and serves `queue`. With `output` the descriptor of
    its output file follows the message."""

    worker_id: str
    queue: str
    seat: int
    output: bool = False


class Died(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A worker process has ended. `cause` is exited, crash, timeout, memory, cancelled, drain or lease; `task_id` and
    `attempt` tell what it held, if anything; `signal` is a name such as SIGKILL; `limit_s` is the time limit it ran into,
    `progress` what the attempt said last; `unsent` are the results that it had not sent. With `output` the descriptor of its
    output file follows the message."""

    worker_id: str
    queue: str
    cause: str
    task_id: str | None = None
    attempt: int = 0
    exit_code: int | None = None
    signal: str | None = None
    peak_rss_bytes: int | None = None
    limit_s: float | None = None
    progress: Progress | None = None
    unsent: Sequence[Unsent] = ()
    output: bool = False


class Quit(msgspec.Struct, frozen=True, tag=True):
    """No worker is left: deal with what was said before and end."""


class Buried(msgspec.Struct, frozen=True, tag=True):
    """A death has been dealt with in Redis and need not be told again."""

    worker_id: str


class LeaseLapsed(msgspec.Struct, frozen=True, tag=True):
    """The lease of this worker has lapsed: it must be killed and replaced."""

    worker_id: str


class StopAttempt(msgspec.Struct, frozen=True, tag=True):
    """Somebody cancelled or deleted a task that this worker runs."""

    worker_id: str
    task_id: str
    attempt: int


ToMaintenance = Born | Died | Quit
ToSupervisor = Buried | LeaseLapsed | StopAttempt

_to_maintenance: msgspec.json.Decoder[ToMaintenance] = msgspec.json.Decoder(ToMaintenance)
_to_supervisor: msgspec.json.Decoder[ToSupervisor] = msgspec.json.Decoder(ToSupervisor)


def encode(message: ToMaintenance | ToSupervisor) -> bytes:
    """The form in which a message travels."""
    return msgspec.json.encode(message)


def for_maintenance(data: bytes) -> ToMaintenance:
    """A message that the supervisor sent."""
    return _to_maintenance.decode(data)


def for_supervisor(data: bytes) -> ToSupervisor:
    """A message that maintenance sent."""
    return _to_supervisor.decode(data)
