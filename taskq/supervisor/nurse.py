"""The supervisor's end of maintenance: its process, the pipe, and the deaths that it has not yet dealt with.

Messages wait here while the pipe is full or maintenance is being restarted, so that no death is forgotten and the
supervisor never blocks.
"""

from __future__ import annotations

import collections
import select
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import send_handle

import msgspec

from taskq.maintenance.messages import (
    Born,
    Buried,
    Died,
    LeaseLapsed,
    Quit,
    StopAttempt,
    ToMaintenance,
    encode,
    for_supervisor,
)
from taskq.supervisor.child import FORK, Service, fork, maintenance_child
from taskq.supervisor.outputs import Outputs
from taskq.supervisor.seats import Seat, restart_delay_s

QUICK_DEATH_S = 10.0


class Nurse:
    """Keeps one maintenance process running and informed."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.process: BaseProcess | None = None
        self.unburied: dict[str, Died] = {}
        self._pipe: Connection | None = None
        self._outbox: collections.deque[ToMaintenance] = collections.deque()
        self._started_at = 0.0
        self._start_at = 0.0
        self._quick_deaths = 0

    @property
    def fd(self) -> int | None:
        """Readable when maintenance has something to say; None while it does not run."""
        return self._pipe.fileno() if self._pipe else None

    def start_if_due(self, service: Service, now: float, seats: Sequence[Seat]) -> None:
        """Start maintenance if it does not run, and tell it who lives and who died."""
        if self.process is not None or now < self._start_at:
            return
        ours, theirs = FORK.Pipe()
        self.process = fork(maintenance_child, service, theirs)
        theirs.close()
        self._pipe = ours
        self._started_at = now
        born = (Born(seat.worker_id, seat.pool.queue, seat.index) for seat in seats if seat.process is not None)
        self._outbox = collections.deque([*born, *self.unburied.values()])
        self.flush()

    def tell(self, message: Born | Died) -> None:
        """Send a message as soon as possible; a death is sent again until it has been dealt with."""
        if isinstance(message, Died):
            self.unburied[message.worker_id] = message
        if self.process is not None:
            self._outbox.append(message)
            self.flush()

    def quit(self) -> None:
        """Let maintenance deal with the deaths it knows and end. It is started again as long as the service runs."""
        if self.process is not None:
            self._outbox.append(Quit())
            self.flush()

    def receive(self) -> Iterable[LeaseLapsed | StopAttempt]:
        """What maintenance said since the last call, except what is only for us."""
        heard: list[LeaseLapsed | StopAttempt] = []
        try:
            while self._pipe is not None and self._pipe.poll(0):
                message = for_supervisor(self._pipe.recv_bytes())
                if isinstance(message, Buried):
                    self.unburied.pop(message.worker_id, None)
                    self.outputs.close(message.worker_id)
                else:
                    heard.append(message)
        except (EOFError, OSError):
            self._close_pipe()
        return heard

    def collect(self, now: float) -> int | None:
        """The exit code of maintenance if it has just ended; sets when it is started again."""
        if self.process is None or self.process.exitcode is None:
            return None
        code = self.process.exitcode
        list(self.receive())
        self.process.close()
        self.process = None
        self._close_pipe()
        quick = now - self._started_at < QUICK_DEATH_S and code != 0
        self._start_at = now + (restart_delay_s(self._quick_deaths) if quick else 0.0)
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        return code

    def flush(self) -> None:
        """Send what found no room in the pipe before. To be called again and again, as long as the process runs: Quit waits
        behind the deaths of all workers."""
        try:
            while self._outbox and self._pipe is not None and _takes_more(self._pipe):
                self._send(self._pipe, self._outbox[0])
                self._outbox.popleft()
        except OSError:
            self._close_pipe()  # it has ended; everything is told to its successor

    def _send(self, pipe: Connection, message: ToMaintenance) -> None:
        output = None if isinstance(message, Quit) else self.outputs.fd(message.worker_id)
        if isinstance(message, Quit) or output is None:
            pipe.send_bytes(encode(message))
        else:
            pipe.send_bytes(encode(msgspec.structs.replace(message, output=True)))
            send_handle(pipe, output, self.process.pid if self.process else None)

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def _takes_more(pipe: Connection) -> bool:
    poll = select.poll()  # unlike select(), it takes any descriptor
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))
