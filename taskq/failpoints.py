"""Named places at which a test can stop or kill a process, or make it wait. Inert unless TASKQ_FAILPOINTS arms one.

TASKQ_FAILPOINTS is a comma-separated list of `NAME=ACTION[:CHANCE]`: ACTION is kill (SIGKILL), stop (SIGSTOP) or exit
(os._exit), CHANCE a probability from 0 to 1 (default 1). Every hit first appends `NAME ACTION PID ID` to the file named by
TASKQ_FAILPOINTS_LOG, so that a test can count the faults that really happened. `ID` is what the place is about.

    P0  before a worker waits for a task        P4  its handler runs
    P1  while it waits                          P5  the handler has ended, nothing is written
    P2  a task has moved, nobody knows          P6  the settle has been done, nobody knows
    P3  the worker knows, the task not started  P7  the settle is known
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Mapping

POINTS = ("P0", "P1", "P2", "P3", "P4", "P5", "P6", "P7")
P1_DELAY_S = 0.05

_ACTIONS: Mapping[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda: os._exit(13),
}


def parse(text: str) -> dict[str, tuple[str, float]]:
    """The armed points by name, each with its action and chance. Raises ValueError for a word it does not know."""
    armed = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, _, rest = item.partition("=")
        action, _, chance = rest.partition(":")
        if name not in POINTS or action not in _ACTIONS:
            raise ValueError(f"TASKQ_FAILPOINTS: expected P0..P7=kill|stop|exit[:chance], got {item!r}")
        armed[name] = (action, float(chance or 1))
    return armed


ARMED = parse(os.environ.get("TASKQ_FAILPOINTS", ""))
"""Empty in normal service: call sites test it before they call `hit`."""

_random = random.Random()  # of its own, so that handlers that seed the shared one do not steer faults


def hit(name: str, subject: str = "") -> None:
    """Perform what is armed for this place, if anything and if chance will have it."""
    if name not in ARMED:
        return
    action, chance = ARMED[name]
    if _random.random() >= chance:
        return
    if name == "P1":
        timer = threading.Timer(P1_DELAY_S, _perform, (name, action, subject))
        timer.daemon = True
        timer.start()
    else:
        _perform(name, action, subject)


def reseed() -> None:
    """After a fork: let this process' chances differ from its siblings'."""
    _random.seed()


def _perform(name: str, action: str, subject: str) -> None:
    path = os.environ.get("TASKQ_FAILPOINTS_LOG")
    if path:
        line = f"{name} {action} {os.getpid()} {subject}\n".encode()
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, line)
        os.close(fd)
    _ACTIONS[action]()
