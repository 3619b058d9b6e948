"""How the end of a process is told."""

from __future__ import annotations

import signal

import pytest

from taskq.config import Pool
from taskq.deaths import cause_of, crash
from taskq.maintenance.burial import describe
from taskq.maintenance.messages import Died
from taskq.supervisor.seats import Seat
from taskq.supervisor.slots import Board, Running
from taskq.task import ErrorKind


@pytest.mark.parametrize(
    ("code", "expected"),
    [(0, (None, 0)), (5, (None, 5)), (-signal.SIGSEGV, ("SIGSEGV", None)), (-40, ("signal 40", None))],
)
def test_a_return_code_is_a_signal_or_an_exit_code(code: int, expected: tuple[str | None, int | None]) -> None:
    assert cause_of(code) == expected


def test_a_kill_that_was_not_ours_may_have_been_the_kernels() -> None:
    text, detail = crash("the worker", "SIGKILL", None, 300 << 20)

    assert text == (
        "the worker died under the task: killed by SIGKILL, perhaps by the kernel for want of memory (out-of-memory killer)"
        " (peak resident size 300 MiB)"
    )
    assert (detail.kind, detail.signal, detail.peak_rss_bytes) == (ErrorKind.CRASH, "SIGKILL", 300 << 20)


@pytest.mark.parametrize(
    ("died", "kind", "text"),
    [
        ({"cause": "crash", "signal": "SIGSEGV"}, "crash", "the worker died under the task: killed by SIGSEGV"),
        ({"cause": "crash", "exit_code": 7}, "crash", "the worker died under the task: it exited with code 7"),
        ({"cause": "exited", "exit_code": 0}, "crash", "the worker died under the task: it exited with code 0"),
        ({"cause": "timeout", "signal": "SIGKILL", "limit_s": 1.5}, "timeout", "timed out after 1.5 s and was killed"),
        ({"cause": "memory", "signal": "SIGKILL"}, "memory", "memory limit exceeded"),
        ({"cause": "lease", "signal": "SIGKILL"}, "crash", "the worker fell silent: its lease lapsed, and it was killed"),
    ],
)
@pytest.mark.parametrize("peak", [None, 5 << 20])
def test_a_death_is_told_with_its_cause_and_its_peak(
    died: dict[str, object], kind: str, text: str, peak: int | None
) -> None:
    told, detail = describe(Died(worker_id="w", queue="q", peak_rss_bytes=peak, **died))  # type: ignore[arg-type]

    assert told == (f"{text} (peak resident size 5 MiB)" if peak else text)
    assert (detail.kind, detail.message, detail.peak_rss_bytes) == (kind, told, peak)


def running(serial: int) -> Running:
    return Running(serial=serial, task_id="t", type="x", attempt=1, started_ns=0, deadline_ns=0, memory_limit_bytes=0)


@pytest.fixture
def seat() -> Seat:
    return Seat(index=0, pool_name="default", pool=Pool(), slot=Board(1).slot(0))


def test_the_peak_is_that_of_one_attempt(seat: Seat) -> None:
    for serial, resident in [(1, 100), (1, 300), (1, 200), (2, 150), (2, 170), (2, 160)]:
        seat.sampled(running(serial), resident)

    assert seat.peak_of(running(2)) == 170


def test_an_attempt_too_short_to_be_seen_has_the_last_size_of_its_worker(seat: Seat) -> None:
    seat.sampled(running(1), 300)
    seat.sampled(None, 120)

    assert seat.peak_of(running(2)) == 120


def test_a_new_worker_inherits_no_peak(seat: Seat) -> None:
    seat.sampled(running(1), 300)

    seat.seated("w2", 0.0)

    assert seat.peak_of(running(1)) == 0
