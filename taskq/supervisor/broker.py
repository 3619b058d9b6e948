"""The embedded server as a child: started first, restarted when it dies, stopped last."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time

from taskq.children import die_with_parent
from taskq.errors import ExitCode, StartupError
from taskq.log import emit
from taskq.queue.embedded import EmbeddedPlan
from taskq.supervisor.warden import MARK

STOP_WITHIN_S = 30.0
"""A last fsync of a large file can take seconds."""

EARLY_EXITS = 3
LIVED_S = 1.0


class Broker:
    """Runs the server that a plan describes."""

    def __init__(self, plan: EmbeddedPlan) -> None:
        self.plan = plan
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._early_exits = 0

    @property
    def pid(self) -> int | None:
        """The server's pid; None while it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the server: in a group of its own, so that Ctrl-C does not end it before us; with SIGTERM when we die."""
        parent = os.getpid()
        self._process = subprocess.Popen(
            self.plan.arguments,
            env={name: value for name, value in os.environ.items() if name != MARK},  # it ends in peace, not with the tasks
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
            pass_fds=(self.plan.lock,),  # the data directory stays locked as long as the server lives
            preexec_fn=lambda: _prepare(parent),
        )
        self._started_at = time.monotonic()
        emit("broker.started", pid=self._process.pid, data_dir=str(self.plan.data_dir), url=self.plan.url)

    @property
    def listening(self) -> bool:
        """True once the server has made its socket."""
        return self.plan.socket.exists()

    def watch(self) -> None:
        """Restart the server if it has ended. Raises StartupError when it ends at once again and again."""
        if self._process is None or self._process.poll() is None:
            return
        code = self._process.returncode
        emit("broker.exited", logging.ERROR, exit_code=code)
        lived_s = time.monotonic() - self._started_at
        self._early_exits = self._early_exits + 1 if lived_s < LIVED_S else 0
        if self._early_exits >= EARLY_EXITS:
            self._process = None
            raise StartupError(
                f"the embedded server ends at once (exit code {code}); its log is {self.plan.data_dir / 'valkey.log'}",
                ExitCode.NO_BROKER,
            )
        self.start()

    def stop(self) -> None:
        """Stop the server cleanly; blocks up to STOP_WITHIN_S, then kills."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        emit("broker.stopped", exit_code=self._process.returncode)
        self._process = None


def _prepare(parent: int) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(parent, signal.SIGTERM)
