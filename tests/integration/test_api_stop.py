"""The end of an API process: what it has begun is finished, what is idle is closed, and it takes no longer than promised."""

from __future__ import annotations

import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from taskq.api.server import STOP_LIMIT_S
from taskq.queue.inspect import Inspector

Address = tuple[str, int]
StartApi = Callable[..., tuple[Address, ForkProcess]]

TIMEOUT_S = 20
LARGE = 30_000_000


@contextmanager
def request(
    address: Address, method: str = "GET", path: str = "/health", body: bytes | None = None
) -> Iterator[http.client.HTTPConnection]:
    """A connection over which one request was sent."""
    with closing(http.client.HTTPConnection(*address, timeout=TIMEOUT_S)) as connection:
        connection.request(method, path, body=body)
        yield connection


def await_file(path: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.005)


def await_end(process: ForkProcess, limit_s: float) -> None:
    process.join(limit_s)
    assert process.exitcode == 0


def test_a_request_that_is_being_handled_is_answered(start_api: StartApi, inspector: Inspector, tmp_path: Path) -> None:
    begun, go = tmp_path / "begun", tmp_path / "go"

    def wrap(app: Any) -> Any:
        def slow(environ: Any, start_response: Any) -> Iterable[bytes]:
            begun.touch()
            await_file(go)
            return app(environ, start_response)  # type: ignore[no-any-return]

        return slow

    address, process = start_api(wrap=wrap)
    with request(address, "POST", "/tasks", b'{"type": "echo"}') as connection:
        await_file(begun)
        process.terminate()
        go.touch()

        answer = connection.getresponse()

        assert answer.status == 201
        assert inspector.get(json.loads(answer.read())["id"])
    await_end(process, STOP_LIMIT_S)


def test_an_answer_larger_than_the_sockets_buffer_arrives_whole(start_api: StartApi) -> None:
    def wrap(_app: Any) -> Any:
        def large(_environ: Any, start_response: Any) -> Iterable[bytes]:
            start_response("200 OK", [("Content-Length", str(LARGE))])
            return [b"x" * LARGE]

        return large

    address, process = start_api(wrap=wrap)
    with request(address) as connection:
        answer = connection.getresponse()
        process.terminate()

        assert len(answer.read()) == LARGE
    await_end(process, STOP_LIMIT_S)


def test_a_request_that_does_not_end_is_given_up_in_time(start_api: StartApi, tmp_path: Path) -> None:
    begun = tmp_path / "begun"

    def wrap(_app: Any) -> Any:
        def stuck(_environ: Any, _start_response: Any) -> Iterable[bytes]:
            begun.touch()
            time.sleep(60)
            return []

        return stuck

    address, process = start_api(wrap=wrap)
    with request(address):
        await_file(begun)
        process.terminate()

        await_end(process, STOP_LIMIT_S + 2)


def test_idle_connections_do_not_hold_up_the_end_nor_do_half_sent_requests_for_long(start_api: StartApi) -> None:
    address, process = start_api()
    with request(address) as idle, socket.create_connection(address, TIMEOUT_S) as half:
        assert idle.getresponse().read() == b'{"status":"ok"}'
        half.sendall(b"POST /tasks HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\n{")
        process.terminate()

        await_end(process, STOP_LIMIT_S + 2)


def test_a_connection_that_was_made_before_the_stop_gets_its_answer_and_is_closed(start_api: StartApi) -> None:
    address, process = start_api()
    with request(address) as used, socket.create_connection(address, TIMEOUT_S) as half:
        assert used.getresponse().read() == b'{"status":"ok"}'
        half.sendall(b"GET /health HTT")
        used.request("GET", "/health")  # once this is answered, the server has read what came before it
        assert used.getresponse().read() == b'{"status":"ok"}'
        process.terminate()
        used.request("GET", "/health")
        answer = used.getresponse()
        assert (answer.status, answer.getheader("Connection")) == (200, "close")

        half.sendall(b"P/1.1\r\nHost: test\r\n\r\n")
        with half.makefile("rb") as reader:
            text = reader.read()
        assert text.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: close\r\n" in text
    await_end(process, STOP_LIMIT_S)


def test_processes_share_a_socket_and_the_end_of_one_leaves_it_to_the_others(start_api: StartApi) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        address, first = start_api(sock=sock)
        with request(address) as connection:
            assert connection.getresponse().status == 200
        start_api(sock=sock)
        first.terminate()
        await_end(first, 2)

        for _ in range(10):
            with request(address) as connection:
                assert connection.getresponse().status == 200


def test_the_server_answers_errors_of_an_application_without_a_traceback(start_api: StartApi) -> None:
    def wrap(_app: Any) -> Any:
        def broken(_environ: Any, _start_response: Any) -> Iterable[bytes]:
            raise RuntimeError(os.sep + "secret")

        return broken

    address, _ = start_api(wrap=wrap)
    with request(address) as connection:
        answer = connection.getresponse()
        text = answer.read().decode()

    assert answer.status == 500
    body = json.loads(text)
    assert body.pop("request_id") == answer.getheader("X-Request-ID")
    assert body == {
        "error": "internal error",
        "code": "internal_error",
        "title": "Internal Server Error",
        "status": 500,
    }
