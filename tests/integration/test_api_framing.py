"""Requests byte by byte, each with the answer that it must get and the reason: sections are those of RFC 9112 unless another
one is named. Where the RFC leaves a choice the stricter one is taken."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from taskq import log
from taskq.queue.connection import Link
from taskq.queue.inspect import Inspector
from tests.integration.conftest import StartApi, api_processes
from tests.integration.raw import (
    CHUNKED,
    CHUNKS,
    CLOSE,
    HOST,
    LENGTH,
    TASK,
    Address,
    assert_refused,
    connect,
    exchange,
    get,
    parse,
    post,
    read_all,
)

SMUGGLED = post(HOST + LENGTH, TASK)
"""Follows each refused request: a server that reads on stores this task."""


def sized(length: bytes, body: bytes = TASK) -> bytes:
    return post(HOST + b"Content-Length: " + length + b"\r\n", body)


def coded(coding: bytes, body: bytes = CHUNKS) -> bytes:
    return post(HOST + b"Transfer-Encoding: " + coding + b"\r\n", body)


def chunked(body: bytes) -> bytes:
    return post(HOST + CHUNKED, body)


BAD = {
    # 2.2: lines end with CR LF; 3: "Recipients of an invalid request-line SHOULD respond with 400"
    "bare line feeds only": b"GET /health HTTP/1.1\nHost: test\n\n",
    "a bare line feed after the request line": b"GET /health HTTP/1.1\nHost: test\r\n\r\n",
    "a bare line feed in the header": post(HOST + b"X-A: 1\nTransfer-Encoding: chunked\r\n" + LENGTH, TASK),
    "a bare carriage return": post(HOST + b"X-A: 1\rX-B: 2\r\n" + LENGTH, TASK),
    "a space before the request line": b" " + get(b"/health"),
    "no request line": b"nonsense\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "another protocol that begins to talk": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two spaces in the request line": b"GET  /health HTTP/1.1\r\nHost: test\r\n\r\n",
    "a tab in the request line": b"GET\t/health HTTP/1.1\r\nHost: test\r\n\r\n",
    "a space after the version": b"GET /health HTTP/1.1 \r\nHost: test\r\n\r\n",
    "a space in the target": get(b"/hea lth"),
    "no target": b"GET HTTP/1.1\r\nHost: test\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "a version of two digits": get(b"/health", version=b"HTTP/1.10"),
    "a version in small letters": get(b"/health", version=b"http/1.1"),
    "another protocol": get(b"/health", version=b"ICE/1.0"),
    # 3.1: the method is a token, and it is case-sensitive
    "a method in small letters": get(b"/health", method=b"get"),
    "a method that is no token": get(b"/health", method=b"G(T"),
    # 3.2: the target is a path, an http URL, or * for OPTIONS; RFC 3986, 2: of visible ASCII, and 3.5: without a fragment
    "NUL in the target": get(b"/health\x00"),
    "a control byte in the target": get(b"/health\x0b"),
    "an escape in the target": get(b"/\x1b[31m"),
    "a byte that is no ASCII": get(b"/t\xc3\xa4sks"),
    "a fragment": get(b"/health#/tasks"),
    "a path without slash": get(b"health"),
    "* for GET": get(b"*"),
    # RFC 3986, 3.3: an empty segment is one; who forbids paths in front of this server has not thought of //tasks
    "a path that begins with two slashes": get(b"//health"),
    "a URL whose path begins with two slashes": get(b"http://test//health"),
    "a URL of another scheme": get(b"ftp://test/health"),
    "a URL without host (RFC 9110, 4.2.1)": get(b"http:///health"),
    "a URL with a user (RFC 9110, 4.2.4)": get(b"http://user@test/health"),
    "a URL of half an address": get(b"http://[::1/health"),
    # 3.2.2: the client sends the host of the URL as Host; two that differ are for two servers
    "a URL of another host": get(b"http://other.example/health"),
    # 3.2: "MUST respond with 400" to no Host, more than one, or one with an invalid value
    "no host": post(LENGTH, TASK),
    "no header at all": b"GET /health HTTP/1.1\r\n\r\n",
    "two hosts": post(HOST + HOST + LENGTH, TASK),
    "two different hosts": post(HOST + b"host: other\r\n" + LENGTH, TASK),
    "two hosts in HTTP/1.0": post(HOST + HOST + LENGTH, TASK, version=b"HTTP/1.0"),
    "an empty host": get(b"/health", b"Host:\r\n"),
    "two hosts in one": get(b"/health", b"Host: test, other\r\n"),
    "a host with a space": get(b"/health", b"Host: te st\r\n"),
    "a host with a path": get(b"/health", b"Host: test/x\r\n"),
    "a host with a user": get(b"/health", b"Host: user@test\r\n"),
    "a host with a port that is none": get(b"/health", b"Host: test:port\r\n"),
    "a host with line ends, escaped for a log": get(b"/health", b"Host: test\\r\\nX: 1\r\n"),
    # 5.1: "no whitespace is allowed between the field name and colon"; RFC 9110, 5.1, 5.5: names are tokens, no NUL
    "a space before the colon": post(HOST + b"Transfer-Encoding : chunked\r\n" + LENGTH, CHUNKS),
    "a header without name": get(b"/health", HOST + b": x\r\n"),
    "a header without colon": get(b"/health", HOST + b"X-A\r\n"),
    "a name with a space": get(b"/health", HOST + b"X A: 1\r\n"),
    "a name with a bracket": get(b"/health", HOST + b"X(A): 1\r\n"),
    "a name with a control byte": get(b"/health", HOST + b"X\x01A: 1\r\n"),
    "a name that is no ASCII": get(b"/health", HOST + b"X\xc3\xa4: 1\r\n"),
    "NUL in a value": get(b"/health", HOST + b"X-A: a\x00b\r\n"),
    "a control byte in a value": get(b"/health", HOST + b"X-A: a\x08b\r\n"),
    "DEL in a value": get(b"/health", HOST + b"X-A: a\x7fb\r\n"),
    # 5.2: a server "MUST either reject" folded lines "or replace" the fold; 2.2: also one right after the request line
    "a folded header": post(HOST + b"X-A: 1\r\n 2\r\n" + LENGTH, TASK),
    "a folded coding": post(HOST + b"Transfer-Encoding:\r\n\tchunked\r\n", CHUNKS),
    "a folded first header": post(b" x: y\r\n" + HOST + LENGTH, TASK),
    # 6.1: the coding is one of HTTP/1.1, comes once, and "ought to be handled as an error" beside a length
    "length and coding": post(HOST + LENGTH + CHUNKED, CHUNKS),
    "coding and length": post(HOST + CHUNKED + b"content-LENGTH: 6\r\n", CHUNKS),
    "coding twice": post(HOST + CHUNKED + CHUNKED, CHUNKS),
    "coding twice in other case": post(HOST + CHUNKED + b"TRANSFER-encoding: chunked\r\n", CHUNKS),
    "chunked twice": coded(b"chunked, chunked"),
    "chunked twice in other case": coded(b"chunked,CHUNKED"),
    "a coding in HTTP/1.0": post(HOST + CHUNKED, CHUNKS, version=b"HTTP/1.0"),
    # 6.3: where chunked is not the last coding "the server MUST respond with 400"
    "gzip": coded(b"gzip"),
    "gzip last": coded(b"chunked, gzip"),
    "xchunked": coded(b"xchunked"),
    "identity": coded(b"identity"),
    "chunked with a parameter": coded(b"chunked;q=1"),
    "chunked in quotes": coded(b'"chunked"'),
    "chunked after a vertical tab": coded(b"\x0bchunked"),
    "an empty coding": coded(b""),
    "a coding before which there is none": coded(b",chunked"),
    "a coding after which there is none": coded(b"chunked,"),
    # 6.3: an invalid length is "an unrecoverable error", a list of them too unless all are equal; RFC 9110, 8.6: digits only
    "length twice": post(HOST + LENGTH + LENGTH, TASK),
    "two lengths": post(HOST + LENGTH + b"Content-Length: 0\r\n", TASK),
    "a list of lengths": sized(b"42, 42"),
    "a length with plus": sized(b"+42"),
    "a negative length": sized(b"-1"),
    "a length in hex": sized(b"0x2a"),
    "a length with a space": sized(b"4 2"),
    "a length with a point": sized(b"42.0"),
    "a length with an underscore": sized(b"4_2"),
    "an empty length": sized(b""),
    "a length of other digits": sized("٤٢".encode()),
    "a length without bound": sized(b"9" * 5000),
    # 7.1: a chunk is its size in hex, CR LF, so many bytes, CR LF
    "a chunk size that is none": chunked(b"zz\r\n" + CHUNKS),
    "an empty chunk size": chunked(b"\r\n" + CHUNKS),
    "a chunk size with 0x": chunked(b"0x" + CHUNKS),
    "a negative chunk size": chunked(b"-" + CHUNKS),
    "a chunk size with plus": chunked(b"+" + CHUNKS),
    "a chunk size after a space": chunked(b" " + CHUNKS),
    "a chunk size before a space": chunked(b"2a \r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a chunk size of 17 digits": chunked(b"0" * 15 + CHUNKS),
    "a chunk size that ends with a line feed": chunked(CHUNKS.replace(b"\r\n", b"\n", 1)),
    "a chunk that ends with a line feed": chunked(b"2a\r\n" + TASK + b"\n0\r\n\r\n"),
    "a chunk longer than it says": chunked(b"1\r\n" + TASK + b"\r\n0\r\n\r\n"),
    "a chunk shorter than it says": chunked(b"2b\r\n" + TASK + b"\r\n0\r\n\r\n"),
    # 7.1.1: a token, perhaps with a value; a recipient "ought to limit the total length"
    "an extension without name": chunked(CHUNKS.replace(b"\r\n", b";=1\r\n", 1)),
    "an extension with a line feed": chunked(CHUNKS.replace(b"\r\n", b";a=\n\r\n", 1)),
    "an extension in open quotes": chunked(CHUNKS.replace(b"\r\n", b';a="\r\n', 1)),
    "an extension without end": chunked(b"2a;" + b"a" * 2000),
    # 7.1.2: trailers are headers
    "a folded trailer": chunked(CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-A: 1\r\n 2\r\n\r\n")),
    "a trailer without colon": chunked(CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-A\r\n\r\n")),
    "a trailer with a bare line feed": chunked(CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-A: 1\n\r\n")),
    "a trailer without end": chunked(CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-A: " + b"x" * 2000)),
}


class Empty(NamedTuple):
    """An API that no request of its tests may store anything in, and where that would be seen."""

    address: Address
    inspector: Inspector


@pytest.fixture(scope="module")
def empty(redis_url: str) -> Iterator[Empty]:
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    with api_processes(redis_url, prefix) as start, closing(Link(redis_url)) as link:
        yield Empty(start()[0], Inspector(link, prefix=prefix))


@pytest.mark.parametrize("request_", BAD.values(), ids=BAD.keys())
def test_a_request_with_two_readings_ends_the_connection(empty: Empty, request_: bytes) -> None:
    answer = exchange(empty.address, request_ + SMUGGLED)

    assert_refused(answer, 400, "bad_request")
    assert empty.inspector.page(limit=1).tasks == []


OTHERS = {
    # 6.1: "a server that receives a request message with a transfer coding it does not understand SHOULD respond with 501"
    "gzip and chunked": (coded(b"gzip, chunked"), 501, "not_implemented"),
    # RFC 9110, 9.3.6 and 15.6.2: a server that is no proxy
    "CONNECT": (get(b"test:80", method=b"CONNECT"), 501, "not_implemented"),
    # 2.3 and RFC 9110, 15.6.6; processing 1.2 as 1.1 would be allowed, too
    "HTTP/2.0": (get(b"/health", version=b"HTTP/2.0"), 505, "version_not_supported"),
    "HTTP/1.2": (get(b"/health", version=b"HTTP/1.2"), 505, "version_not_supported"),
    "HTTP/0.9 with a name": (get(b"/health", version=b"HTTP/0.9"), 505, "version_not_supported"),
    "the preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_not_supported"),
    # 3: "MUST respond with 414" to a target that is too long; RFC 6585, 5: 431 for headers, one or all of them
    "a long target": (get(b"/" + b"x" * 20_000), 414, "uri_too_long"),
    "a target without end": (b"GET /" + b"x" * 1_000_000, 414, "uri_too_long"),
    "a large header": (get(b"/health", HOST + b"X: " + b"x" * 16_384 + b"\r\n"), 431, "header_too_large"),
    "a header without end": (b"GET / HTTP/1.1\r\nX: " + b"x" * 1_000_000, 431, "header_too_large"),
    "1,000 headers": (get(b"/health", HOST + b"X: 1\r\n" * 1000), 431, "header_too_large"),
    "101 headers": (get(b"/health", HOST + b"X: 1\r\n" * 100), 431, "header_too_large"),
    "101 trailers": (chunked(b"0\r\n" + b"X: 1\r\n" * 101 + b"\r\n"), 431, "header_too_large"),
    # RFC 9110, 15.5.14
    "a large length": (sized(b"10485760", b""), 413, "body_too_large"),
    "18 digits of length": (sized(b"9" * 18, b""), 413, "body_too_large"),
    "a large chunk": (chunked(b"fffffff\r\n"), 413, "body_too_large"),
    "a chunk size beyond 63 bits": (chunked(b"ffffffffffffffff\r\n"), 413, "body_too_large"),
    "chunks without end": (chunked((b"400\r\n" + b"x" * 1024 + b"\r\n") * 3000), 413, "body_too_large"),
    # RFC 9110, 10.1.1
    "an expectation of something else": (
        post(HOST + LENGTH + b"Expect: 200-ok\r\n", TASK),
        417,
        "expectation_failed",
    ),
}


@pytest.mark.parametrize(("request_", "status", "code"), OTHERS.values(), ids=OTHERS.keys())
def test_what_this_server_does_not_take_ends_the_connection(empty: Empty, request_: bytes, status: int, code: str) -> None:
    assert_refused(exchange(empty.address, request_), status, code)
    assert empty.inspector.page(limit=1).tasks == []


GOOD = {
    # 2.2: "a server that is expecting to receive a request-line SHOULD ignore at least one empty line"
    "an empty line first": (b"\r\n" + get(b"/health"), 200),
    "empty lines first": (b"\r\n\r\n\r\n" + get(b"/health"), 200),
    # 3.2.2: "a server MUST accept the absolute-form"; 3.2.3: * for OPTIONS is about the server
    "a URL of this host": (get(b"http://test/health"), 200),
    "a URL of this host in capitals": (get(b"HTTP://TEST/health?x=1"), 200),
    # 3.2: an HTTP/1.0 client needs no Host
    "* for OPTIONS": (get(b"*", method=b"OPTIONS"), 200),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n\r\n", 200),
    "an address as host": (get(b"/health", b"Host: [::1]:8080\r\n" + CLOSE), 200),
    # 5: spaces around a value do not count, an empty value is one, and so are bytes above ASCII
    "spaces around a length": (post(HOST + CLOSE + b"Content-Length: \t 42 \t\r\n", TASK), 201),
    "zeros before a length": (post(HOST + CLOSE + b"Content-Length: 00042\r\n", TASK), 201),
    "an empty value": (get(b"/health", HOST + CLOSE + b"X-A:\r\n"), 200),
    "a value that is no ASCII": (get(b"/health", HOST + CLOSE + b"X-A: \xc3\xa4\r\n"), 200),
    "100 headers": (get(b"/health", HOST + CLOSE + b"X: 1\r\n" * 98), 200),
    "a name with an underscore is no other name": (post(HOST + CLOSE + LENGTH + b"Content_Length: 0\r\n", TASK), 201),
    # 7.1: hex in either case, extensions and trailers are ignored; BWS around the semicolon is removed (7.1.1)
    "chunks": (post(HOST + CLOSE + CHUNKED, CHUNKS), 201),
    "chunked in capitals": (post(HOST + CLOSE + CHUNKED.upper(), CHUNKS.replace(b"2a", b"2A")), 201),
    "zeros before a chunk size": (post(HOST + CLOSE + CHUNKED, b"000" + CHUNKS), 201),
    "extensions": (post(HOST + CLOSE + CHUNKED, CHUNKS.replace(b"\r\n", b' ; a ;b=1;c = "\\"x; y"\r\n', 1)), 201),
    "trailers": (post(HOST + CLOSE + CHUNKED, CHUNKS.replace(b"0\r\n\r\n", b"0\r\nX-A: 1\r\nHost: b\r\n\r\n")), 201),
    "two chunks": (post(HOST + CLOSE + CHUNKED, b"1\r\n{\r\n29\r\n" + TASK[1:] + b"\r\n0\r\n\r\n"), 201),
    # RFC 9110, 7.8: an offer to upgrade may be ignored; 10.1.1: HTTP/1.0 knows no expectation
    "an offer of HTTP/2": (
        get(b"/health", HOST + b"Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"),
        200,
    ),
    "an offer of a websocket": (get(b"/health", HOST + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n"), 200),
    "an expectation in HTTP/1.0": (post(HOST + LENGTH + b"Expect: 200-ok\r\n", TASK, version=b"HTTP/1.0"), 201),
}


@pytest.mark.parametrize(("request_", "status"), GOOD.values(), ids=GOOD.keys())
def test_a_request_that_is_only_unusual_is_answered_once(
    api_address: Address, inspector: Inspector, request_: bytes, status: int
) -> None:
    answer = exchange(api_address, request_)

    assert (answer.status, answer.rest) == (status, b"")
    assert len(inspector.page(limit=5).tasks) == (status == 201)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_it_does_not_matter_where_a_request_is_cut(api_address: Address, inspector: Inspector, size: int) -> None:
    body = CHUNKS.replace(b"\r\n", b';a="b"\r\n', 1).replace(b"0\r\n\r\n", b"0\r\nX: 1\r\n\r\n")
    request = b"\r\n" + post(HOST + CHUNKED, body) + post(HOST + CLOSE + LENGTH, TASK)

    with connect(api_address) as sock:
        for start in range(0, len(request), size):
            sock.sendall(request[start : start + size])
        first = parse(read_all(sock))

    assert (first.status, parse(first.rest).status) == (201, 201)
    assert [task.payload for task in inspector.page(limit=5).tasks] == [b'"Hello World"'] * 2


def test_what_follows_a_body_is_the_next_request(api_address: Address, inspector: Inspector) -> None:
    answer = exchange(api_address, post(HOST + LENGTH, TASK + b"{}\r\n\r\n"))

    assert answer.status == 201
    assert_refused(parse(answer.rest), 400, "bad_request")
    assert len(inspector.page(limit=5).tasks) == 1


@pytest.mark.parametrize(
    "request_",
    [
        get(b"/health\x00", method=b"HEAD"),
        get(b"/health", HOST + HOST, method=b"HEAD"),
        get(b"/" + b"x" * 20_000, method=b"HEAD"),
        get(b"/health", HOST + b"X: " + b"x" * 16_384 + b"\r\n", method=b"HEAD"),
        post(HOST + CHUNKED, b"zz\r\n").replace(b"POST", b"HEAD"),
        get(b"/nothing", method=b"HEAD"),
    ],
)
def test_a_refused_head_has_no_body(api_address: Address, request_: bytes) -> None:
    answer = exchange(api_address, request_)

    assert answer.status >= 400
    assert int(answer.headers["content-length"]) > 0
    assert (answer.headers["connection"], answer.rest) == ("close", b"")


@pytest.mark.parametrize(
    "request_",
    [
        get(b"/health\x00", HOST + b"Accept: application/problem+json\r\n"),
        get(b"/health", HOST + HOST + b"ACCEPT:application/problem+json;q=0.5, text/plain\r\n"),
        post(HOST + CHUNKED + b"Accept: application/problem+json\r\n", b"zz\r\n"),
    ],
)
def test_a_refusal_has_the_media_type_that_was_asked_for(api_address: Address, request_: bytes) -> None:
    assert exchange(api_address, request_).headers["content-type"] == "application/problem+json"


def test_a_refusal_is_logged_once_and_without_a_word_of_the_client(start_api: StartApi, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:

        def logging_to_the_file(app: Any) -> Any:
            log.set_up(level="info", format_="json")
            log.divert(file.fileno(), file.fileno())
            return app

        address, _ = start_api(wrap=logging_to_the_file)
        for request in BAD.values():
            exchange(address, request.replace(b"X-A", b"X-Evil"))

    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()][1:]
    assert [line["event"] for line in lines] == ["request.handled"] * len(BAD)
    assert {line["status"] for line in lines} == {400}
    assert len({line["request_id"] for line in lines}) == len(BAD)
    assert not [line for line in lines if "evil" in str(line).lower() or not line["message"].isprintable()]
