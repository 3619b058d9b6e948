"""Log lines: every event by name, one JSON object (or one console line) each, one write each.

All processes of a service share one standard output, so a line must reach it in a single `write`. Payloads, results and
credentials are never logged. `EVENTS` is the whole vocabulary; `emit` refuses any other word.

While a worker runs a task, whatever is logged bears the task's fields, and what its handler logs goes into the task's
captured output as well.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "task.enqueued": "accepted and stored",
        "batch.enqueued": "the tasks of a batch were accepted and stored, as far as they were not refused",
        "task.replayed": "a repeated request was answered with the task that it had made",
        "task.started": "a worker began an attempt",
        "task.completed": "an attempt returned a result that was stored",
        "task.retried": "an attempt failed and another one is scheduled",
        "task.failed": "an attempt failed and none follows",
        "task.expired": "ended without a start: it waited longer than it may",
        "task.released": "given back to its queue, nothing counted",
        "task.crashed": "the process of an isolated attempt died; another one follows",
        "task.reaped": "taken from a dead or silent worker",
        "task.cancelled": "stopped for good on request",
        "task.deleted": "removed on request",
        "task.requeued": "a failed or cancelled task was put back into its queue",
        "task.stale": "a write of an older attempt was refused",
        "task.stopped": "a limit or a request interrupted a running attempt",
        "queue.paused": "no task of the queue starts until it is resumed",
        "queue.resumed": "tasks of the queue start again",
        "queue.purged": "everything that waited in the queue was removed",
        "operation.planned": "an action on many tasks was stored, for maintenance to carry out",
        "operation.taken": "a maintenance process carries out an operation from here on",
        "operation.ended": "an operation has done what it was to do, or was stopped",
        "schedule.fired": "the task of a tick was enqueued",
        "schedule.skipped": "nothing was enqueued at a tick, because the task of an earlier one has not ended",
        "schedule.missed": "ticks passed while no machine could fire them; this was the last",
        "schedule.run": "a task of a schedule was enqueued on request",
        "schedule.paused": "the ticks of a schedule pass without effect until it is resumed",
        "schedule.resumed": "a schedule ticks again",
        "worker.started": "a worker is ready to claim",
        "worker.recycled": "a worker ends between two tasks, to be replaced",
        "worker.exited": "a worker process ended",
        "worker.killed": "a worker that would not end was killed",
        "worker.replaced": "a worker process was forked in place of one that ended",
        "lease.lost": "a worker's lease lapsed, so it is replaced",
        "queue.unavailable": "Redis cannot be reached; retrying",
        "queue.recovered": "Redis is reachable again",
        "queue.refused": "Redis refused a command for a reason that waiting does not cure",
        "server.checked": "version, eviction policy and persistence of Redis were examined",
        "server.warned": "Redis works but its set-up can lose tasks",
        "broker.started": "the embedded server was started",
        "broker.exited": "the embedded server ended",
        "broker.stopped": "the embedded server was stopped cleanly",
        "api.started": "the API accepts requests",
        "api.exited": "an API process ended",
        "request.handled": "an HTTP request was answered",
        "request.failed": "an HTTP request met an error of the service",
        "maintenance.started": "leases, reaping, promotion and retention run",
        "maintenance.exited": "the maintenance process ended",
        "maintenance.failed": "a duty raised; it runs again at its next turn",
        "handlers.imported": "task types are registered",
        "handlers.warned": "importing the task modules left threads running",
        "supervisor.started": "the service is up",
        "supervisor.draining": "no new task is claimed; what runs may end",
        "supervisor.reloaded": "a new configuration is in force",
        "supervisor.refused": "a new configuration has faults; the old one stays",
        "supervisor.stopped": "every child has ended",
        "child.failed": "a child could not do its start-up",
        "stray.killed": "a process that outlived its task was killed",
    }
)

H = TypeVar("H", bound=logging.Handler)

NEWLINE = "\n"
FORMATS = ("json", "console")
LEVELS = ("debug", "info", "warning", "error")

TASK_LOGGER = "taskq.task"
"""The logger behind `Context.log`: the only one of ours whose lines are the handler's."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_encode = msgspec.json.Encoder(enc_hook=str).encode
_root = logging.getLogger("taskq")
_of_tasks = logging.getLogger(TASK_LOGGER)
_identity: dict[str, Any] = {}
_task: dict[str, Any] = {}
_handlers: list[_OneWrite] = []
_level = logging.WARNING
_disabled: frozenset[str] = frozenset()
"""What `restore` goes back to: the handlers and the level of the root, and the loggers that were switched off."""


def set_up(*, level: str, format_: str) -> None:
    """Send every log line of this process and of those that it forks to standard output, at `level` or above, as `json` or
    `console`."""
    main = _OneWrite(1)
    main.setFormatter(_Json() if format_ == "json" else _Console(colour=os.isatty(1)))
    _handlers[:] = [main]
    global _level, _disabled
    logging.basicConfig(level=level.upper(), handlers=_handlers, force=True)
    _level, _disabled = logging.root.level, frozenset(logger.name for logger in _loggers() if logger.disabled)


def divert(fd: int, output_fd: int) -> None:
    """After `set_up` in the parent: send the lines of this process to `fd`, and what handlers of tasks log also to
    `output_fd`, for people.

    Looks at no logger: a fresh child that does would copy the pages of all of them.
    """
    for handler in _handlers:
        handler.fd = fd
    _to_output.fd = output_fd
    _handlers.append(_to_output)
    logging.root.addHandler(_to_output)


def of_handlers(sink: H) -> H:
    """Let `sink` have only what handlers of tasks log while they run, in the form of captured output."""
    sink.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    sink.addFilter(_is_of_a_handler)
    return sink


def restore() -> None:
    """Undo what a task's handler may have done to logging as a whole, so that later lines get through, its own and ours."""
    if logging.root.handlers != _handlers:
        logging.root.handlers[:] = _handlers
    if logging.root.level != _level:
        logging.root.setLevel(_level)
    if logging.root.manager.disable:
        logging.disable(logging.NOTSET)
    for ours in (_root, _of_tasks):
        if ours.level or not ours.propagate:
            ours.setLevel(logging.NOTSET)
            ours.propagate = True
    if logging.root.disabled or _root.disabled or _of_tasks.disabled:
        # logging.config switches off every logger that it is not told of
        for logger in (logging.root, *_loggers()):
            logger.disabled = logger.name in _disabled


def identify(**fields: Any) -> None:
    """Put `fields` (process, worker_id) on every later line of this process."""
    _identity.clear()
    _identity.update(fields)


def set_task(**fields: Any) -> None:
    """Put `fields` (task_id, attempt) on every later line of this process, whoever logs it; without any, take them off."""
    global _task
    _task = fields


def is_shown(level: int) -> bool:
    """Whether anything is logged at this level: for whoever would put much together in vain."""
    return _root.isEnabledFor(level)


def emit(event: str, /, level: int = logging.INFO, message: str = "", **fields: Any) -> None:
    """Log one event with its fields. Raises KeyError for a word that is not in EVENTS."""
    if not is_shown(level):
        return
    # what Logger.log does, without a search for the line of code that called: nobody is told
    record = logging.LogRecord(_root.name, level, "", 0, message or EVENTS[event], (), None)
    vars(record).update({key: value for key, value in fields.items() if value is not None}, event=event)
    _root.handle(record)


class _OneWrite(logging.Handler):
    """Writes each line with one system call, so that lines of several processes do not mix."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self.fd = fd

    def emit(self, record: logging.LogRecord) -> None:
        try:
            data = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:
            pass  # the reader of our output is gone; a service must not die of that
        except Exception:
            self.handleError(record)


class _Json(logging.Formatter):
    """One JSON object: time, level, event, who speaks, the fields of the line, message."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line = {"time": _moment(record), "level": record.levelname.lower(), "event": record.name, **_identity, **_task}
        line.update(fields)
        if record.exc_info:
            line["exc_info"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack_info"] = self.formatStack(record.stack_info)
        line["message"] = record.getMessage()
        try:
            return _encode(line).decode()
        except (UnicodeEncodeError, TypeError):  # half of a surrogate pair, or keys that only Python knows
            return json.dumps(line, default=str, skipkeys=True)


class _Console(logging.Formatter):
    """One line for people: time, level, event, the fields that differ, message."""

    _COLOURS: Mapping[int, str] = MappingProxyType({logging.WARNING: "33", logging.ERROR: "31", logging.DEBUG: "2"})

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self.colour = colour

    def format(self, record: logging.LogRecord) -> str:
        fields = {k: v for k, v in vars(record).items() if k not in _STANDARD and k != "event"}
        shown = " ".join(f"{key}={value}" for key, value in {**_identity, **_task, **fields}.items())
        event = getattr(record, "event", record.name)
        line = _printable(f"{_moment(record)[11:23]} {record.levelname.lower():7} {event:22} {record.getMessage()}  {shown}")
        code = self._COLOURS.get(record.levelno) if self.colour else None
        line = f"\x1b[{code}m{line}\x1b[0m" if code else line
        return f"{line}\n{_printable(self.formatException(record.exc_info), keep=NEWLINE)}" if record.exc_info else line


def _loggers() -> list[logging.Logger]:
    return [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]


def _is_of_a_handler(record: logging.LogRecord) -> bool:
    """True for a line that a task's handler logs, false for what the service says about itself."""
    return bool(_task) and (record.name == TASK_LOGGER or record.name.partition(".")[0] != "taskq")


def _printable(text: str, keep: str = "") -> str:
    """The text without characters that would start a line of their own or steer a terminal: tasks may write hostile text."""
    return "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_to_output = of_handlers(_OneWrite(-1))
"""Where `divert` leads what handlers log; made before any fork."""
