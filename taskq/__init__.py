"""taskq: a job server for CPU-bound Python work, driven over REST.

For those who write tasks: `task`, `register`, `Context`, `Retry`, `Fail`, `Backoff`. All the rest is run by the `taskq`
command.
"""

from taskq.errors import Fail, Retry
from taskq.registry import register, task
from taskq.retry import Backoff
from taskq.worker.context import Context

__all__ = ["Backoff", "Context", "Fail", "Retry", "__version__", "register", "task"]

__version__ = "0.1.0"
