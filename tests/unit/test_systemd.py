"""The datagrams of sd_notify(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq.errors import StartupError
from taskq.supervisor.systemd import Notifier, passed_socket


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket of a service manager."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        yield channel


def test_assignments_travel_in_one_datagram(manager: socket.socket) -> None:
    Notifier({"NOTIFY_SOCKET": manager.getsockname()}).tell("READY=1", "MAINPID=7")

    assert manager.recv(100) == b"READY=1\nMAINPID=7"


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("")  # the kernel chooses an abstract name
        channel.settimeout(5)
        name = channel.getsockname()[1:].decode()

        Notifier({"NOTIFY_SOCKET": f"@{name}"}).tell("STOPPING=1")

        assert channel.recv(100) == b"STOPPING=1"


def test_without_a_service_manager_nothing_happens() -> None:
    notifier = Notifier({})

    notifier.tell("READY=1")

    assert notifier.watchdog_s is None


def test_a_service_manager_that_is_gone_is_no_error(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).tell("READY=1")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000"}, None),
        ({"NOTIFY_SOCKET": "/x"}, None),
        ({"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_sign_of_life_is_due_twice_in_the_time_of_the_watchdog(environ: dict[str, str], expected: float | None) -> None:
    assert Notifier(environ).watchdog_s == expected


def listening_variables(count: str) -> dict[str, str]:
    return {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": "taskq.socket", "OTHER": "x"}


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_FDS": "1"}])
def test_a_socket_for_another_process_is_left_alone(environ: dict[str, str]) -> None:
    before = dict(environ)

    assert passed_socket(environ) is None
    assert environ == before


def test_a_passed_socket_is_taken_once() -> None:
    environ = listening_variables("1")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        taken = passed_socket(environ, os.dup(sock.fileno()))

        assert taken is not None
        assert taken.getsockname() == sock.getsockname()
        assert not taken.get_inheritable()
        taken.close()
    assert environ == {"OTHER": "x"}


def test_what_is_no_listening_tcp_socket_is_refused() -> None:
    with pytest.raises(StartupError, match="expected one listening TCP socket from the service manager, got 2"):
        passed_socket(listening_variables("2"))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_STREAM) as idle,
        pytest.raises(StartupError, match="got one of another kind"),
    ):
        passed_socket(listening_variables("1"), idle.fileno())
    read, write = os.pipe()
    with pytest.raises(StartupError, match="got Socket operation on non-socket"):
        passed_socket(listening_variables("1"), read)
    os.close(read)
    os.close(write)
