"""What ends the sleep of an idle worker early: a descriptor that a signal handler makes readable."""

from __future__ import annotations

import os
import select


class Alarm:
    """Set or not. `fd` is readable while it is set."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def set(self) -> None:
        """End the sleep that goes on, or the next one. For signal handlers."""
        os.eventfd_write(self.fd, 1)

    def clear(self) -> None:
        """Forget that it was set."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            pass  # it was not

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long, but end at once when it is set."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        poll.poll(seconds * 1000)

    def close(self) -> None:
        """Free the descriptor."""
        os.close(self.fd)
