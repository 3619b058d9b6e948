"""What arrives over a socket: limits of size and time, connections that serve many requests, slow and rude clients."""

from __future__ import annotations

import http.client
import json
import select
import socket
from collections.abc import Callable
from multiprocessing.context import ForkProcess

import pytest

from taskq.api.context import ApiSettings
from taskq.queue.inspect import Inspector
from tests.drips import dripping
from tests.integration.raw import (
    CHUNKED,
    CLOSE,
    HOST,
    LENGTH,
    TASK,
    TIMEOUT_S,
    Address,
    assert_refused,
    connect,
    exchange,
    get,
    parse,
    post,
    read_all,
)

StartApi = Callable[..., tuple[Address, ForkProcess]]


def test_a_client_that_sends_10_megabytes_before_it_reads_gets_to_read_the_reason(
    api_address: Address, inspector: Inspector
) -> None:
    connection = http.client.HTTPConnection(*api_address, timeout=TIMEOUT_S)

    connection.request("POST", "/tasks", body=b'{"type": "echo", "payload": "' + b"x" * 10_000_000 + b'"}')
    answer = connection.getresponse()

    assert answer.status == 413
    assert json.loads(answer.read())["error"] == "request body too large"
    assert inspector.page(limit=1).tasks == []
    connection.close()


def test_what_is_refused_before_it_is_read_is_counted_like_all_that_is_answered(api_address: Address) -> None:
    exchange(api_address, get(b"/tasks", b""))
    exchange(api_address, post(HOST + b"Content-Length: x\r\n"))
    exchange(api_address, b"INVENTED /tasks HTTP/3.0\r\n" + HOST + b"\r\n")
    exchange(api_address, get(b"/health", HOST + b"X: " + b"x" * 17_000 + b"\r\n"))

    with connect(api_address) as sock:
        sock.sendall(get(b"/metrics"))
        scrape = read_all(sock).decode()
    assert [line for line in scrape.splitlines() if line.startswith("taskq_api_requests_total")] == [
        'taskq_api_requests_total{code="400",method="GET",route="none"} 1.0',
        'taskq_api_requests_total{code="431",method="GET",route="none"} 1.0',
        'taskq_api_requests_total{code="400",method="POST",route="none"} 1.0',
        'taskq_api_requests_total{code="505",method="other",route="none"} 1.0',
    ]


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not(start_api: StartApi, framing: str) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=50_000))
    body = b'{"type": "echo", "payload": "' + b"x" * (50_000 - 31) + b'"}'

    for data in (body, body + b" "):
        sized = post(HOST + b"Content-Length: %d\r\n" % len(data), data)
        chunked = post(HOST + CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        answer = exchange(address, (sized if framing == "length" else chunked) + get(b"/health"))
        if data == body:
            assert (answer.status, parse(answer.rest).status) == (201, 200)
        else:
            assert_refused(answer, 413, "body_too_large")


def batch(headers: bytes, body: bytes) -> bytes:
    return post(headers, body).replace(b"POST /tasks ", b"POST /tasks/batch ", 1)


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_batch_may_be_larger_up_to_a_limit_of_its_own(start_api: StartApi, framing: str) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=50_000))
    body = b'{"tasks": [{"type": "echo", "payload": "' + b"x" * 40_000 + b'"}]}'
    body += b" " * (50_000 - len(body))

    for data, status in ((body, 200), (body + b" ", 413)):
        sized = batch(HOST + b"Connection: close\r\nContent-Length: %d\r\n" % len(data), data)
        chunked = batch(HOST + b"Connection: close\r\n" + CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data))
        assert exchange(address, sized if framing == "length" else chunked).status == status


def test_a_batch_without_end_is_refused(start_api: StartApi, inspector: Inspector) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=100_000))
    endless = batch(HOST + CHUNKED, b"") + (b"400\r\n" + b"x" * 1024 + b"\r\n") * 3000

    assert_refused(exchange(address, endless), 413, "body_too_large")
    assert_refused(exchange(address, batch(HOST + b"Content-Length: 10485760\r\n", b"")), 413, "body_too_large")
    assert inspector.page(limit=1).tasks == []


def test_a_task_after_a_batch_on_one_connection_has_its_own_limit(start_api: StartApi) -> None:
    address, _ = start_api(ApiSettings(max_body_bytes=1_000, max_batch_bytes=50_000))
    tasks = b'{"tasks": [{"type": "echo", "payload": "' + b"x" * 20_000 + b'"}]}'
    large = b'{"type": "echo", "payload": "' + b"x" * 20_000 + b'"}'
    first = batch(HOST + b"Content-Length: %d\r\n" % len(tasks), tasks)

    answer = exchange(address, first + post(HOST + b"Content-Length: %d\r\n" % len(large), large))

    assert answer.status == 200
    assert_refused(parse(answer.rest), 413, "body_too_large")


def test_one_connection_serves_many_requests_also_sent_ahead(api_address: Address) -> None:
    ahead = post(HOST + LENGTH, TASK) * 3 + b"GET /tasks HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

    data = exchange(api_address, ahead)

    for _ in range(2):
        assert data.status == 201
        data = parse(data.rest)
    assert data.status == 201
    assert len(parse(data.rest).body) == 3


def test_a_client_that_waits_for_100_continue_gets_it_and_then_its_task(api_address: Address) -> None:
    with connect(api_address) as sock:
        sock.sendall(post(HOST + LENGTH + b"Expect: 100-continue\r\nConnection: close\r\n", b""))
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(TASK)
        assert parse(read_all(sock)).status == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: 99999999\r\n", 413),
        (b"Content-Length: x\r\n", 400),
        (b"", 400),
    ],
)
def test_no_body_is_asked_for_where_none_can_be_taken(api_address: Address, headers: bytes, status: int) -> None:
    answer = exchange(api_address, post(HOST + headers + b"Expect: 100-continue\r\nConnection: close\r\n", b""))

    assert answer.status == status


def test_a_client_that_goes_away_in_the_middle_of_a_body_stores_nothing(api_address: Address, inspector: Inspector) -> None:
    with connect(api_address) as sock:
        sock.sendall(post(HOST + LENGTH, TASK[:-1]))

    answer = exchange(api_address, b"GET /tasks HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert answer.body == []
    assert inspector.page(limit=1).tasks == []


def test_a_client_that_has_ended_its_side_gets_the_answer_to_what_was_whole(
    api_address: Address, inspector: Inspector
) -> None:
    whole, cut = post(HOST + LENGTH, TASK), post(HOST + LENGTH, TASK[:-1])
    for request, status in ((whole, 201), (cut, None), (b"GET /health HTTP/1.1", None)):
        with connect(api_address) as sock:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            data = read_all(sock)
        assert (parse(data).status if data else None) == status

    assert len(inspector.page(limit=5).tasks) == 1


def test_slow_clients_do_not_keep_others_out(api_address: Address, inspector: Inspector) -> None:
    large = b'{"type": "echo", "payload": "' + b"x" * 500_000 + b'"}'
    for _ in range(4):
        assert exchange(api_address, post(HOST + CLOSE + b"Content-Length: %d\r\n" % len(large), large)).status == 201

    with dripping(api_address, 120):
        for _ in range(50):
            assert exchange(api_address, post(HOST + CLOSE + LENGTH, TASK)).status == 201
    assert len(inspector.page(limit=500).tasks) == 54


def test_a_request_that_drips_is_given_up_and_one_that_flows_is_not(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("taskq.api.wire.REQUEST_S", 0.2)  # before the fork
    monkeypatch.setattr("taskq.api.wire.SLOWEST_BYTES_PER_S", 0.001)
    address, _ = start_api()
    with connect(address) as flowing:
        flowing.sendall(post(HOST + LENGTH + b"Connection: close\r\n", TASK[:-1]))
        monkeypatch.undo()
        flowing.sendall(TASK[-1:])
        assert parse(read_all(flowing)).status == 201

    monkeypatch.setattr("taskq.api.wire.REQUEST_S", 0.2)
    address, _ = start_api()
    with connect(address) as first, connect(address) as second, connect(address) as empty:
        first.sendall(b"\r\nG")
        second.sendall(post(HOST + LENGTH, b"{"))
        empty.sendall(b"\r\n\r\n")
        assert_refused(parse(read_all(first)), 408, "request_timeout")
        assert_refused(parse(read_all(second)), 408, "request_timeout")
        assert read_all(empty) == b""  # no request was begun, so there is nothing to answer


def test_a_client_that_does_not_take_its_answer_is_given_up_and_one_that_does_is_not(
    start_api: StartApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 20_000_000

    def large(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(size))])
        return [b"x" * size]

    monkeypatch.setattr("taskq.api.wire.REQUEST_S", 0.5)  # before the fork
    address, _ = start_api(wrap=lambda _: large)
    with connect(address) as taking, connect(address) as stuck:
        for sock in (stuck, taking):
            sock.sendall(get(b"/"))
        taken = 0
        while received := taking.recv(1 << 20):
            taken += len(received)
        assert taken > size
        poll = select.poll()
        poll.register(stuck, select.POLLERR)
        assert poll.poll(TIMEOUT_S * 1000)  # reset, although it may still want to read


def test_a_request_for_another_name_ends_the_connection_and_one_for_an_address_does_not(start_api: StartApi) -> None:
    address, _ = start_api(ApiSettings(hosts=("tasks.example.org",)))

    for target, host in ((b"/health", b"evil.example"), (b"http://evil.example/health", b"evil.example")):
        assert_refused(exchange(address, get(target, b"Host: " + host + b"\r\n") + get(b"/health")), 421, "misdirected")
    for host in (b"tasks.example.org:8443", b"127.0.0.1", b"[::1]:80", b"localhost:8080"):
        assert exchange(address, get(b"/health", b"Host: " + host + b"\r\n" + CLOSE)).status == 200
    assert exchange(address, b"GET /health HTTP/1.0\r\n\r\n").status == 200
