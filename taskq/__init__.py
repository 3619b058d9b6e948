"""taskq: a job server for CPU-bound Python work, driven over REST.

For those who write tasks: `task`, `Context`, `Retry`, `Fail`. Everything else is run by the `taskq` command.
"""

from taskq.errors import Fail, Retry

__all__ = ["Fail", "Retry", "__version__"]

__version__ = "0.1.0"
