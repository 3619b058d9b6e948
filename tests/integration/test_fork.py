"""What a child of the service is spared until it is ready."""

from __future__ import annotations

import os
import signal
import sys

from taskq.supervisor.child import fork
from taskq.worker.worker import STOP_SIGNAL

ENDED_IN_ORDER = 7


def _child(_parent: int) -> None:
    os.kill(os.getpid(), STOP_SIGNAL)
    signal.signal(STOP_SIGNAL, lambda *_: sys.exit(ENDED_IN_ORDER))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STOP_SIGNAL})


def test_a_child_that_is_stopped_before_it_is_ready_ends_in_order() -> None:
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    process = fork(_child)
    process.join(20)

    assert process.exitcode == ENDED_IN_ORDER
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
