"""Telling systemd how we are: the datagrams of sd_notify(3); and taking the socket that it listens on for us, as in
sd_listen_fds(3). Does nothing where no service manager asks for either."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from taskq.errors import ExitCode, StartupError

_FIRST_FD = 3


def passed_socket(environ: MutableMapping[str, str], first_fd: int = _FIRST_FD) -> socket.socket | None:
    """The listening TCP socket that the service manager passes, None without one. Its variables are taken out of `environ`,
    for they mean nobody else. Raises StartupError for more than one or one of another kind."""
    pid, count = environ.get("LISTEN_PID"), environ.get("LISTEN_FDS", "")
    if pid != str(os.getpid()) or count in ("", "0"):
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        environ.pop(name, None)
    expected = "expected one listening TCP socket from the service manager"
    if count != "1":
        raise StartupError(f"{expected}, got {count[:20]}", ExitCode.CANNOT_LISTEN)
    try:
        sock = socket.socket(fileno=first_fd)
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise StartupError(f"{expected}, got {error.strerror}", ExitCode.CANNOT_LISTEN) from error
    if sock.family not in (socket.AF_INET, socket.AF_INET6) or not listening:
        sock.detach()
        raise StartupError(f"{expected}, got one of another kind", ExitCode.CANNOT_LISTEN)
    sock.set_inheritable(False)
    return sock


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
