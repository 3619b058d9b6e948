"""conf/nginx.conf with a certificate, ports and directories of its own, in front of some API."""

from __future__ import annotations

import http.client
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CONFIG = Path(__file__).parents[1] / "conf" / "nginx.conf"
NAME = "tasks.example.org"

START_LIMIT_S = 20.0
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Front(NamedTuple):
    """Where nginx listens: with TLS, and without. `trust` is what a client needs to connect as `NAME`."""

    address: tuple[str, int]
    plain: tuple[str, int]
    trust: ssl.SSLContext


class Client(http.client.HTTPSConnection):
    """A client that asks for `NAME`, wherever that name leads."""

    def __init__(self, front: Front) -> None:
        super().__init__(NAME, front.address[1], timeout=START_LIMIT_S)
        self._front = front

    def connect(self) -> None:
        sock = socket.create_connection(self._front.address, self.timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = self._front.trust.wrap_socket(sock, server_hostname=NAME)


def binary() -> str | None:
    """The nginx of this machine; a user's path often lacks its directory."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextmanager
def nginx(directory: Path, api: tuple[str, int], processes: str = "auto") -> Iterator[Front]:
    """nginx in front of `api`, in so many processes, with what it writes in `directory`. Raises RuntimeError if it does not
    start."""
    program = binary()
    if program is None:
        raise RuntimeError("there is no nginx on this machine")
    secure, plain = _free_ports()
    _make_certificate(directory)
    (directory / "nginx.conf").write_text(_adapted(directory, api, secure, plain, processes))
    command = [program, "-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    if checked.returncode:
        raise RuntimeError(checked.stderr)
    process = subprocess.Popen([*command, "-g", "daemon off;"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        _await_port(secure, process)
        yield Front(("127.0.0.1", secure), ("127.0.0.1", plain), ssl.create_default_context(cafile=directory / "cert.pem"))
    finally:
        process.terminate()
        process.wait()


def _make_certificate(directory: Path) -> None:
    """Runs the command that the file documents."""
    line = next(line for line in CONFIG.read_text().splitlines() if line.startswith("#   openssl "))
    command = shlex.split(line.removeprefix("#").replace("/etc/taskq/tls", str(directory)))
    subprocess.run(command, capture_output=True, check=True)


def _adapted(directory: Path, api: tuple[str, int], secure: int, plain: int, processes: str) -> str:
    """The file itself but for what belongs to the machine."""
    text = re.sub(r"(?m)^\s*listen \[::\].*\n", "", CONFIG.read_text())
    temporary = "".join(f"    {name}_temp_path {directory}/{name};\n" for name in _TEMPORARY)
    for old, new in (
        ("user www-data;\n", "user root;\n" if os.geteuid() == 0 else ""),
        ("worker_processes auto;", f"worker_processes {processes};"),
        ("/run/nginx.pid", f"{directory}/pid"),
        ("/var/log/nginx", str(directory)),
        ("/etc/taskq/tls", str(directory)),
        ("listen 443", f"listen 127.0.0.1:{secure}"),
        ("listen 80", f"listen 127.0.0.1:{plain}"),
        ("server 127.0.0.1:8080;", f"server {api[0]}:{api[1]};"),
        ("http {\n", f"http {{\n{temporary}"),
    ):
        if old not in text:
            raise RuntimeError(f"conf/nginx.conf has no {old!r}")
        text = text.replace(old, new)
    return text


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("nginx did not start") from None
            time.sleep(0.02)
        else:
            return
