"""How a request's header has to be written: one way only, so that no two servers read it differently.

RFC 9112 lets a server be lenient in many places, and each of them has let clients slip a second request past a proxy. What
has two readings is refused; so is what no client sends who means well. Pure: bytes in, a Refusal or nothing out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from waitress.parser import ParsingError

MAX_HEADER_BYTES = 16 * 1024
MAX_REQUEST_LINE_BYTES = 8 * 1024
"""RFC 9112, section 3, wants at least 8,000."""

MAX_FIELDS = 100

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""RFC 9110, section 5.6.2."""

_REQUEST_LINE = re.compile(rb"(%s) ([\x21\x22\x24-\x7e]+) HTTP/(\d\.\d)" % TOKEN)
_NAME = re.compile(TOKEN)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)([/?].*)?", re.IGNORECASE)
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~%\-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?")
_LENGTH = re.compile(rb"\d{1,18}")
_SINGLE = frozenset({b"host", b"content-length", b"transfer-encoding"})
_VERSIONS = (b"1.0", b"1.1")
_EMPTY_LINES = b"\r\n"


class Refusal(ParsingError):
    """A request that is answered without having been read to its end. `code` is a word of errors.STATUS; the sentence holds
    nothing of what the client sent."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class Hints(NamedTuple):
    """What an answer to a refused header has to respect, as far as it can be read."""

    method: str
    accept: str


def check_begun(begun: bytes) -> None:
    """Looks at a header that may not have arrived completely; `begun` is all of it so far, and perhaps what follows. Raises
    Refusal for what no further byte can mend."""
    block = begun.lstrip(_EMPTY_LINES)
    if block and not _NAME.match(block):
        raise bad("the request line does not begin with a method")
    end = begun.find(b"\r\n\r\n", len(begun) - len(block))
    header = begun if end < 0 else begun[:end]
    ends = header.count(b"\r\n")
    if header.count(b"\n") != ends or header.count(b"\r", 0, -1 if header.endswith(b"\r") else None) != ends:
        raise bad("a line does not end with CR LF")
    block = header[len(begun) - len(block) :]
    request_line, line_end, _ = block.partition(b"\r\n")
    if len(request_line) > MAX_REQUEST_LINE_BYTES:
        raise Refusal("uri_too_long", f"expected a request line of at most {MAX_REQUEST_LINE_BYTES} bytes")
    if len(block) > MAX_HEADER_BYTES:
        raise Refusal("header_too_large", "request header too large")
    if end < 0 and line_end and not _REQUEST_LINE.fullmatch(request_line):
        raise bad("the request line is malformed")


def check_head(block: bytes) -> None:
    """Looks at a whole header, request line included. Raises Refusal."""
    request_line, *lines = block.removesuffix(b"\r\n\r\n").removesuffix(b"\r\n").split(b"\r\n")
    parts = _REQUEST_LINE.fullmatch(request_line)
    if parts is None:
        raise bad("the request line is malformed")
    method, target, version = parts.groups()
    if method != method.upper():
        raise bad("expected a method in capital letters")
    if version not in _VERSIONS:
        raise Refusal("version_not_supported", "expected HTTP/1.0 or HTTP/1.1")
    if len(lines) > MAX_FIELDS:
        raise Refusal("header_too_large", f"expected at most {MAX_FIELDS} headers")
    fields = check_fields(lines)
    once: dict[bytes, bytes] = {}
    for name, value in fields:
        if name in _SINGLE:
            if name in once:
                raise bad(f"the header {name.decode()} stands there twice")
            once[name] = value
    current = version == b"1.1"
    _check_host(once.get(b"host"), current=current)
    _check_target(method, target, once.get(b"host"))
    _check_length(once, current=current)
    if current and any(name == b"expect" and value.lower() != b"100-continue" for name, value in fields):
        raise Refusal("expectation_failed", "expected Expect: 100-continue or none")


def check_fields(lines: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Name in small letters and value of the headers, or trailers, of `lines`, each without its end. Raises Refusal."""
    fields = []
    for line in lines:
        if line.startswith((b" ", b"\t")):
            raise bad("a header is folded onto a second line")
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name):
            raise bad("the name of a header is malformed")
        if _CONTROL.search(value):
            raise bad("the value of a header has a control character")
        fields.append((name.lower(), value.strip(b" \t")))
    return fields


def read_hints(block: bytes) -> Hints:
    """The method and the media types that a header asks for, whatever else is wrong with it."""
    request_line, *lines = block.lstrip(_EMPTY_LINES).split(b"\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(b":") for line in lines)}
    return Hints(request_line.partition(b" ")[0].decode("latin-1"), fields.get(b"accept", b"").decode("latin-1"))


def _check_host(host: bytes | None, *, current: bool) -> None:
    if host is None:
        if current:
            raise bad("the header host is missing")
    elif not _AUTHORITY.fullmatch(host):
        raise bad("the header host is malformed")


def _check_target(method: bytes, target: bytes, host: bytes | None) -> None:
    if method == b"CONNECT":
        raise Refusal("not_implemented", "CONNECT is for proxies")
    absolute = _ABSOLUTE.fullmatch(target)
    path = absolute[2] or b"" if absolute else target
    if path.startswith(b"//"):
        raise bad("the request's path begins with two slashes")
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return
    if absolute is None or not _AUTHORITY.fullmatch(absolute[1]):
        raise bad("the request's target is neither a path nor a URL")
    # A server that only looks at one of the two would not see the host that another one serves.
    if host is not None and absolute[1].lower() != host.lower():
        raise bad("the request's target and the header host name two hosts")


def _check_length(once: dict[bytes, bytes], *, current: bool) -> None:
    length, coding = once.get(b"content-length"), once.get(b"transfer-encoding")
    if length is not None and not _LENGTH.fullmatch(length):
        raise bad("the header content-length is no number of at most 18 digits")
    if coding is None:
        return
    if length is not None:
        raise bad("content-length and transfer-encoding exclude each other")
    if not current:
        raise bad("transfer-encoding needs HTTP/1.1")
    *others, last = (name.strip(b" \t") for name in coding.lower().split(b","))
    if last != b"chunked" or b"" in others:
        raise bad("the last transfer-encoding is not chunked, so nothing tells where the body ends")
    if b"chunked" in others:
        raise bad("the body is chunked twice")
    if others:
        raise Refusal("not_implemented", "expected Transfer-Encoding: chunked or none")


def bad(sentence: str) -> Refusal:
    """The refusal of what is not HTTP as it should be."""
    return Refusal("bad_request", f"bad request: {sentence}")
