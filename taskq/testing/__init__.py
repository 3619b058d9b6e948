"""For those who test their tasks: `run` performs one attempt of a handler as a worker would, without Redis or another
process; `service` runs a whole taskq, with an embedded server and one worker, that ends with the test.

With pytest, `pytest_plugins = ["taskq.testing.plugin"]` makes the fixtures of that module known.
"""

from taskq.testing.outcome import Outcome
from taskq.testing.running import run
from taskq.testing.service import Service, service

__all__ = ["Outcome", "Service", "run", "service"]
