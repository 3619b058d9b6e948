"""Processes are told apart by more than their pid."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from taskq import hosts
from taskq.hosts import ProcessIdentity


@pytest.fixture
def gone() -> ProcessIdentity:
    """The identity of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = hosts.identity(child.pid)
        child.kill()
    return found


def test_this_process_has_an_identity_that_does_not_change() -> None:
    assert hosts.identity() == hosts.identity()
    assert hosts.identity() == hosts.identity(os.getpid())
    assert hosts.identity().pid == os.getpid()


def test_an_identity_survives_the_way_through_json() -> None:
    own = hosts.identity()

    assert msgspec.json.decode(msgspec.json.encode(own), type=ProcessIdentity) == own


def test_a_running_process_is_not_gone() -> None:
    assert not hosts.is_ours_and_gone(hosts.identity())


def test_a_process_that_ended_is_gone(gone: ProcessIdentity) -> None:
    assert hosts.is_ours_and_gone(gone)


def test_a_process_whose_pid_was_given_to_another_is_gone() -> None:
    recycled = msgspec.structs.replace(hosts.identity(), start_ticks=1)

    assert hosts.is_ours_and_gone(recycled)


@pytest.mark.parametrize("field", ["boot_id", "pid_namespace"])
def test_a_process_of_another_boot_or_container_is_not_ours_to_judge(gone: ProcessIdentity, field: str) -> None:
    elsewhere = msgspec.structs.replace(gone, **{field: "other"})

    assert not hosts.is_ours_and_gone(elsewhere)


def test_a_dead_process_that_was_not_reaped_counts_as_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = hosts.identity(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

    assert hosts.is_ours_and_gone(identity)
    assert hosts.start_ticks(child.pid) is None
    child.communicate()


def test_a_process_that_does_not_exist_has_no_identity(gone: ProcessIdentity) -> None:
    with pytest.raises(ProcessLookupError):
        hosts.identity(gone.pid)
    assert hosts.stat_fields(gone.pid) is None
    assert hosts.resident_bytes(gone.pid) == 0


def test_a_name_with_spaces_and_brackets_does_not_shift_the_fields() -> None:
    code = "open('/proc/self/comm', 'w').write(') R 1 (x'); print('named', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        fields = hosts.stat_fields(child.pid)
        child.kill()

    assert fields is not None
    assert fields[0] in "RSD"
    assert int(fields[1]) == os.getpid()


def test_the_resident_size_is_in_bytes() -> None:
    assert 1 << 20 < hosts.resident_bytes(os.getpid()) < 1 << 40


def test_the_state_of_a_process_is_one_letter_and_none_when_it_is_gone(gone: ProcessIdentity) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        stopped = hosts.state(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        dead = hosts.state(child.pid)

    assert (hosts.state(os.getpid()), stopped, dead, hosts.state(gone.pid)) == ("R", "T", "Z", "")
