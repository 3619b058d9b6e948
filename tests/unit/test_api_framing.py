from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from taskq.api.chunks import ChunkedBody
from taskq.api.framing import Refusal, check_begun, check_head, read_hints

LINE = b"POST /tasks HTTP/1.1\r\n"
HOST = b"Host: test\r\n"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (b"GET /\r\n", "the request line is malformed"),
        (b"get / HTTP/1.1\r\n" + HOST, "expected a method in capital letters"),
        (b"GET x HTTP/1.1\r\n" + HOST, "the request's target is neither a path nor a URL"),
        (b"GET //x HTTP/1.1\r\n" + HOST, "the request's path begins with two slashes"),
        (b"GET http://b/ HTTP/1.1\r\n" + HOST, "the request's target and the header host name two hosts"),
        (LINE + HOST + b"X: 1\r\n 2", "a header is folded onto a second line"),
        (LINE + HOST + b"X : 1", "the name of a header is malformed"),
        (LINE + HOST + b"X: \x01", "the value of a header has a control character"),
        (LINE + HOST + b"host: other", "the header host stands there twice"),
        (LINE + HOST + b"Content-Length: 1\r\ncontent-length: 1", "the header content-length stands there twice"),
        (
            LINE + HOST + b"Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: x",
            "the header transfer-encoding stands there twice",
        ),
        (LINE + HOST + b"Content-Length: " + b"1" * 19, "the header content-length is no number of at most 18 digits"),
        (LINE + b"X: 1", "the header host is missing"),
        (LINE + b"Host: a b", "the header host is malformed"),
        (
            LINE + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked",
            "content-length and transfer-encoding exclude each other",
        ),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", "transfer-encoding needs HTTP/1.1"),
        (LINE + HOST + b"Transfer-Encoding: chunked, Chunked", "the body is chunked twice"),
        (
            LINE + HOST + b"Transfer-Encoding: gzip",
            "the last transfer-encoding is not chunked, so nothing tells where the body ends",
        ),
    ],
)
def test_a_doubtful_header_is_refused_with_what_is_doubtful(header: bytes, sentence: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_head(header)

    assert (refused.value.code, str(refused.value)) == ("bad_request", f"bad request: {sentence}")


@pytest.mark.parametrize(
    "header",
    [
        LINE + HOST + b"Content-Length: 10",
        LINE + HOST + b"Transfer-Encoding: Chunked",
        LINE + HOST + b"Accept: a\r\nAccept: b\r\nX-Host: c\r\nCookie: host: d",
        b"GET / HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n" + HOST,
    ],
)
def test_a_plain_header_is_left_alone(header: bytes) -> None:
    check_begun(header)
    check_head(header)


@pytest.mark.parametrize(
    ("begun", "code"),
    [
        (b"GET / HTTP/1.1\n", "bad_request"),
        (b"GET / HTTP/1.1\rX", "bad_request"),
        (b"\nGET", "bad_request"),
        (b" GET", "bad_request"),
        (bytes.fromhex("16030100a5"), "bad_request"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "bad_request"),
        (b"G" * 8193, "uri_too_long"),
        (LINE + b"X" * 16384, "header_too_large"),
    ],
)
def test_what_no_further_byte_can_mend_is_refused_before_it_has_ended(begun: bytes, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        check_begun(begun)

    assert refused.value.code == code


@pytest.mark.parametrize("begun", [b"", b"\r", b"\r\n", b"GET / HTTP/1.1\r", LINE + b"\r\n" + b"\n" * 20_000])
def test_what_may_become_a_request_is_waited_for(begun: bytes) -> None:
    check_begun(begun)


def test_hints_are_read_from_a_header_with_faults() -> None:
    assert read_hints(b"\r\nHEAD \x00\r\nX\r\naccept : b\r\nACCEPT: a") == ("HEAD", " a")
    assert read_hints(b"") == ("", "")


class Buffer:
    """What waitress collects a body in, as far as a body needs it."""

    def __init__(self) -> None:
        self.file: Any = BytesIO()

    def __len__(self) -> int:
        return len(self.file.getvalue())

    def append(self, data: bytes) -> None:
        self.file.write(data)

    def getfile(self) -> Any:
        return self.file


@pytest.mark.parametrize("size", [1, 3, 100])
def test_chunks_are_joined_wherever_they_are_cut_and_what_follows_is_left(size: int) -> None:
    body = ChunkedBody(Buffer(), 100)
    data, taken = b"3;a=b\r\nabc\r\n00A\r\n\r\n23456789\r\n0\r\nX: 1\r\n\r\nGET", 0

    while not body.completed:
        taken += body.received(data[taken : taken + size])

    assert (body.getfile().getvalue(), data[taken:], body.error) == (b"abc\r\n23456789", b"GET", None)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"1\r\nab\r\n", "bad_request"),
        (b"1\r\na\n\r\n", "bad_request"),
        (b"0x1\r\na\r\n", "bad_request"),
        (b"1\n\r\n", "bad_request"),
        (b"0\r\n: x\r\n\r\n", "bad_request"),
        (b";" * 1025, "bad_request"),
        (b"64\r\n", "body_too_large"),
    ],
)
def test_chunks_that_two_servers_may_cut_differently_are_refused(data: bytes, code: str) -> None:
    body = ChunkedBody(Buffer(), 100)

    body.received(data)

    assert body.error is not None
    assert (body.error.code, body.completed) == (code, False)
