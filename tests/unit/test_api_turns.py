from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from taskq.api import turns
from taskq.api.threads import Dispatcher
from taskq.api.turns import APART_S, SEVERAL, SHORT_BYTES, SLOW_S, Pace, Turns, is_short

LIMIT_S = 20


def asked(method: str = "POST", path: str = "/tasks", **more: Any) -> Any:
    """A request as waitress' parser has it."""
    values = {"error": None, "query": "", "chunked": False, "content_length": 0, "headers": {}, **more}
    return SimpleNamespace(command=method, path=path, **values)


class Channel:
    """Has one request; `go` lets it be answered."""

    def __init__(self, request: Any = None, error: BaseException | None = None) -> None:
        self.requests = [request or asked()]
        self.error = error
        self.go = threading.Event()
        self.go.set()
        self.begun = threading.Event()
        self.done = threading.Event()
        self.thread = ""

    def service(self) -> None:
        self.thread = threading.current_thread().name
        self.begun.set()
        assert self.go.wait(LIMIT_S)
        self.done.set()
        if self.error is not None:
            raise self.error


class Reader:
    """Turns that read what `arrive` is given, a list of channels at a time."""

    def __init__(self) -> None:
        self.dispatcher = Dispatcher(1)
        self.wakes: list[str] = []
        self.turns = Turns(self.dispatcher, lambda: self.wakes.append(threading.current_thread().name))
        self.rounds: list[str] = []
        self._arrived: list[list[Channel]] = []
        self._more = threading.Semaphore(0)
        self._over = False
        self._failure: BaseException | None = None

    def arrive(self, *channels: Channel) -> None:
        self._arrived.append(list(channels))
        self._more.release()

    def arrive_last(self, *channels: Channel) -> None:
        self._arrived.append(list(channels))
        self.end()

    def end(self, failure: BaseException | None = None) -> None:
        self._over, self._failure = True, failure
        self._more.release()

    def step(self) -> bool:
        assert self._more.acquire(timeout=LIMIT_S)
        self.rounds.append(threading.current_thread().name)
        if self._failure is not None:
            raise self._failure
        for channel in self._arrived.pop(0) if self._arrived else []:
            self.turns.add(channel)
        return not self._over

    def finish(self) -> None:
        """What comes last."""

    def settle(self) -> None:
        """Let requests arrive until one is answered by who read it: then both threads are in their places."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            self.arrive(channel := Channel())
            assert channel.done.wait(LIMIT_S)
            if channel.thread in self.rounds:
                return
        pytest.fail("nothing is answered by who read it")


@contextmanager
def reading() -> Iterator[Reader]:
    reader = Reader()
    thread = threading.Thread(target=reader.turns.run, args=(reader.step, lambda: reader.finish()))
    thread.start()
    try:
        yield reader
    finally:
        reader.end()
        thread.join(LIMIT_S)
        reader.dispatcher.shutdown(timeout=LIMIT_S)
    assert not thread.is_alive()


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    monkeypatch.setattr(turns, "SLOW_S", LIMIT_S)
    with reading() as reader:
        reader.settle()
        yield reader


def test_a_short_request_is_answered_by_the_thread_that_read_it(reader: Reader) -> None:
    reader.arrive(first := Channel(), second := Channel())

    assert first.done.wait(LIMIT_S)
    assert second.done.wait(LIMIT_S)
    assert first.thread == second.thread == reader.rounds[-1]


def test_a_request_that_may_take_long_is_left_to_the_dispatcher(reader: Reader) -> None:
    reader.arrive(channel := Channel(asked("GET", "/stats")))

    assert channel.done.wait(LIMIT_S)
    assert channel.thread not in reader.rounds


def test_a_request_that_keeps_its_thread_keeps_nobody_else(reader: Reader) -> None:
    stuck, behind = Channel(), Channel()
    stuck.go.clear()
    reader.arrive(stuck, behind)

    assert stuck.begun.wait(LIMIT_S)
    assert behind.done.wait(LIMIT_S)
    assert behind.thread not in reader.rounds
    reader.arrive(later := Channel())
    assert later.done.wait(LIMIT_S)
    assert reader.rounds[-1] != stuck.thread
    assert later.thread not in reader.rounds  # nobody watches who reads now
    assert not stuck.done.is_set()
    stuck.go.set()
    reader.settle()


def test_an_answer_wakes_whoever_reads_unless_that_is_who_gave_it(reader: Reader) -> None:
    channel = Channel()
    channel.service = reader.turns.wake  # type: ignore[method-assign]
    reader.arrive(channel)
    reader.settle()
    assert reader.wakes == []

    reader.turns.wake()

    assert reader.wakes == [threading.current_thread().name]


def test_what_a_request_raises_ends_nothing(reader: Reader) -> None:
    reader.arrive(broken := Channel(error=SystemExit(3)))

    assert broken.done.wait(LIMIT_S)
    reader.settle()


def test_at_the_end_everything_is_left_to_the_dispatcher(reader: Reader) -> None:
    late = Channel()
    reader.finish = lambda: reader.turns.add(late)  # type: ignore[method-assign]
    reader.end()

    assert late.done.wait(LIMIT_S)
    assert late.thread.startswith("waitress-")


def test_what_was_read_in_the_last_round_is_answered(reader: Reader) -> None:
    late = [Channel(), Channel()]
    reader.arrive_last(*late)

    assert all(channel.done.wait(LIMIT_S) for channel in late)


def test_what_a_round_raises_is_raised_by_the_run() -> None:
    reader = Reader()
    reader.end(OSError("no more descriptors"))

    with pytest.raises(OSError, match="no more descriptors"):
        reader.turns.run(reader.step, reader.finish)

    reader.dispatcher.shutdown(timeout=LIMIT_S)


@pytest.mark.parametrize(
    ("request_", "short"),
    [
        (asked("POST", "/tasks"), True),
        (asked("GET", "/tasks/5335d502-a2c7-4abd-9496-c64692b43869"), True),
        (asked("POST", "/tasks", content_length=SHORT_BYTES), True),
        (asked("POST", "/tasks", content_length=SHORT_BYTES + 1), False),
        (asked("POST", "/tasks", chunked=True), False),
        (asked("POST", "/tasks", query="wait=10"), False),
        (asked("POST", "/tasks", headers={"PREFER": "wait=10"}), False),
        (asked("POST", "/tasks", error=ValueError()), False),
        (asked("POST", "/tasks/batch"), False),
        (asked("GET", "/tasks"), False),
        (asked("GET", "/tasks/5335d502-a2c7-4abd-9496-c64692b43869/logs"), False),
        (asked("DELETE", "/tasks/5335d502-a2c7-4abd-9496-c64692b43869"), False),
        (asked("GET", "/health"), False),
    ],
)
def test_only_what_submits_or_shows_one_task_at_once_is_short(request_: Any, short: bool) -> None:
    assert is_short(request_) is short


def paced(*took_s: float) -> Callable[[float], bool]:
    pace = Pace()
    for each in took_s:
        pace.note(each, 100.0)
    return pace.is_good


SLOW, QUICK = [SLOW_S * 1.5] * SEVERAL, [SLOW_S / 2] * SEVERAL


def test_when_answers_are_slow_on_average_they_are_given_apart_for_a_time() -> None:
    is_good = paced(*SLOW, *SLOW)

    assert not is_good(100.0)
    assert not is_good(100.0 + APART_S / 2)
    assert is_good(100.0 + APART_S)


def test_few_slow_answers_tell_nothing() -> None:
    assert paced(*SLOW, *SLOW[1:])(100.0)
    assert paced(*SLOW, SLOW_S * SEVERAL / 3, *QUICK[1:])(100.0)


def test_what_was_slow_for_a_moment_is_not_held_against_what_comes_later() -> None:
    assert paced(*SLOW, *QUICK, *SLOW, *QUICK)(100.0)
    assert paced(*SLOW, *SLOW, *QUICK)(100.0 + APART_S)
