"""The tickets for what a worker has claimed ahead: whoever takes one, the worker or maintenance, has that claim alone.

Each ticket is one packet of a local socket, which the kernel hands to one reader only. Nobody holds a lock, so no death
leaves one behind. Made before the first fork.
"""

from __future__ import annotations

import contextlib
import socket
from typing import NamedTuple

_PACKET_BYTES = 512


class Ticket(NamedTuple):
    """For the claim that a worker made as its `number`-th, at this moment of the monotonic clock, in ns."""

    number: int
    worker_id: str
    laid_ns: int = 0


class Shelf:
    """The tickets of one worker, the oldest first."""

    def __init__(self) -> None:
        self._inside, self._outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._inside.setblocking(False)
        self._outside.setblocking(False)

    def lay(self, ticket: Ticket) -> None:
        """Put one behind the others. What could not be laid (a task has closed the socket) counts as taken by somebody."""
        with contextlib.suppress(OSError):
            self._inside.send(f"{ticket.number} {ticket.laid_ns} {ticket.worker_id}".encode())

    def take(self) -> Ticket | None:
        """The oldest, which is the caller's now; None when there is none."""
        try:
            packet = self._outside.recv(_PACKET_BYTES)
        except OSError:
            return None
        number, laid_ns, worker_id = packet.decode().split(" ", 2)
        return Ticket(int(number), worker_id, int(laid_ns))

    def clear(self) -> list[Ticket]:
        """Take all, the oldest first."""
        taken = []
        while (ticket := self.take()) is not None:
            taken.append(ticket)
        return taken

    def close(self) -> None:
        """Forget it, in this process."""
        self._inside.close()
        self._outside.close()
