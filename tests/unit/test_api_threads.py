from __future__ import annotations

import logging
import threading

import pytest

from taskq.api.threads import Dispatcher

LIMIT_S = 20


class Request:
    """Runs once it is let go; then `done` is set."""

    def __init__(self, go: threading.Event, error: BaseException | None = None) -> None:
        self.go = go
        self.error = error
        self.begun = threading.Event()
        self.done = threading.Event()

    def service(self) -> None:
        self.begun.set()
        assert self.go.wait(LIMIT_S)
        self.done.set()
        if self.error is not None:
            raise self.error


def test_as_many_requests_run_at_once_as_there_are_threads_and_the_rest_waits() -> None:
    dispatcher, go = Dispatcher(2), threading.Event()
    requests = [Request(go) for _ in range(3)]
    for request in requests:
        dispatcher.add_task(request)

    assert all(request.begun.wait(LIMIT_S) for request in requests[:2])
    assert not requests[2].begun.is_set()
    go.set()
    assert all(request.done.wait(LIMIT_S) for request in requests)
    dispatcher.shutdown(timeout=LIMIT_S)


def test_a_thread_outlives_what_a_request_raises(caplog: pytest.LogCaptureFixture) -> None:
    dispatcher, go = Dispatcher(1), threading.Event()
    go.set()
    broken, next_one = Request(go, SystemExit(3)), Request(go)
    with caplog.at_level(logging.ERROR):
        dispatcher.add_task(broken)
        dispatcher.add_task(next_one)

        assert next_one.done.wait(LIMIT_S)
    assert "Exception when servicing" in caplog.text
    dispatcher.shutdown(timeout=LIMIT_S)


def test_the_end_waits_for_the_requests_that_are_there() -> None:
    dispatcher, go = Dispatcher(1), threading.Event()
    requests = [Request(go), Request(go)]
    for request in requests:
        dispatcher.add_task(request)
    threading.Timer(0.05, go.set).start()

    dispatcher.shutdown(timeout=LIMIT_S)

    assert all(request.done.is_set() for request in requests)
    assert not dispatcher.threads


def test_the_end_waits_no_longer_than_it_may() -> None:
    dispatcher, go = Dispatcher(1), threading.Event()
    dispatcher.add_task(stuck := Request(go))
    assert stuck.begun.wait(LIMIT_S)

    dispatcher.shutdown(timeout=0)

    assert not stuck.done.is_set()
    go.set()
    assert stuck.done.wait(LIMIT_S)
