"""Telling systemd how we are: the datagrams of sd_notify(3). Does nothing where no service manager asks for them."""

from __future__ import annotations

import os
import socket


class Notifier:
    """Sends state to the service manager. `watchdog_s` is how often it wants a sign of life, None for never."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        env = os.environ if environ is None else environ
        self._address = env.get("NOTIFY_SOCKET", "")
        usec = env.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(usec) / 2e6 if usec.isdigit() and self._address else None

    def tell(self, *assignments: str) -> None:
        """Send assignments such as READY=1; errors are ignored, for the service works without."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.sendto("\n".join(assignments).encode(), address)
        except OSError:
            pass
