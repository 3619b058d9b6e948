"""The datagrams of sd_notify(3)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskq.supervisor.systemd import Notifier


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
