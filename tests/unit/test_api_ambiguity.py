from __future__ import annotations

import pytest
from waitress.parser import ParsingError

from taskq.api.wire import refuse_ambiguity

LINE = b"POST /tasks HTTP/1.1\r\n"
HOST = b"Host: test\r\n"


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (LINE + HOST + b"X: 1\r\n 2", "a header is folded onto a second line"),
        (LINE + HOST + b"host: other", "the header host stands there twice"),
        (LINE + HOST + b"Content-Length: 1\r\ncontent-length: 1", "the header content-length stands there twice"),
        (
            LINE + HOST + b"Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: x",
            "the header transfer-encoding stands there twice",
        ),
        (LINE + HOST + b"Content-Length: " + b"1" * 19, "the header content-length has too many digits"),
        (LINE + b"X: 1", "the header host is missing"),
        (
            LINE + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked",
            "content-length and transfer-encoding exclude each other",
        ),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked", "transfer-encoding needs HTTP/1.1"),
        (LINE + HOST + b"Transfer-Encoding: chunked, Chunked", "the body is chunked twice"),
    ],
)
def test_a_doubtful_header_is_refused_with_what_is_doubtful(header: bytes, sentence: str) -> None:
    with pytest.raises(ParsingError) as refused:
        refuse_ambiguity(header)

    assert str(refused.value) == sentence


@pytest.mark.parametrize(
    "header",
    [
        LINE + HOST + b"Content-Length: 10",
        LINE + HOST + b"Transfer-Encoding: Chunked",
        LINE + HOST + b"Accept: a\r\nAccept: b\r\nX-Host: c\r\nCookie: host: d",
        LINE + b"Host:",
        b"GET / HTTP/1.0\r\n",
    ],
)
def test_a_plain_header_is_left_alone(header: bytes) -> None:
    refuse_ambiguity(header)
