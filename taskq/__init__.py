"""taskq: a job server for CPU-bound Python work, driven over REST.

For those who write tasks: `task`, `register`, `Context`, `Retry`, `Fail`, `Backoff`, and `taskq.testing`. For those who
submit them from Python: `enqueue` of a decorated function, `Queue`, `Receipt`, and the errors. All the rest is run by the
`taskq` command.
"""

from taskq import registry as _registry
from taskq.client.decorator import register, sending
from taskq.client.queue import Queue
from taskq.client.receipt import Receipt
from taskq.errors import (
    Fail,
    InvalidOptions,
    InvalidPayload,
    QueueError,
    QueueFull,
    QueueRefused,
    QueueUnavailable,
    Retry,
    TaskCancelled,
    TaskFailed,
    TaskNotFound,
    TaskqError,
    UniqueKeyTaken,
    WaitTimeout,
)
from taskq.retry import Backoff
from taskq.worker.context import Context

__all__ = [
    "Backoff",
    "Context",
    "Fail",
    "InvalidOptions",
    "InvalidPayload",
    "Queue",
    "QueueError",
    "QueueFull",
    "QueueRefused",
    "QueueUnavailable",
    "Receipt",
    "Retry",
    "TaskCancelled",
    "TaskFailed",
    "TaskNotFound",
    "TaskqError",
    "UniqueKeyTaken",
    "WaitTimeout",
    "__version__",
    "register",
    "task",
]

__version__ = "0.1.0"

task = sending(_registry.task)
"""The decorator that makes a function the handler of a task type and lets it submit."""
