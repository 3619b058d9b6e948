"""Chunked bodies, read strictly (RFC 9112, section 7.1): what follows a chunk is CR LF and a size, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from taskq.api.framing import MAX_FIELDS, TOKEN, Refusal, bad, check_fields

MAX_LINE_BYTES = 1024
"""Longest size with its extensions, and longest trailer."""

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|%s))?" % (TOKEN, TOKEN, _QUOTED)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:%s)*" % _EXTENSION)


class ChunkedBody:
    """Takes the bytes of a body as they arrive and appends what the chunks hold to a buffer; extensions and trailers are
    checked and dropped. Either `completed` becomes true or `error` is a Refusal. `max_bytes` and more are refused as soon as
    a size announces them. It stands in for waitress' own receiver."""

    def __init__(self, buffer: Any, max_bytes: int) -> None:
        self.completed = False
        self.error: Refusal | None = None
        self._buffer = buffer
        self._max_bytes = max_bytes
        self._left = 0
        self._line = b""
        self._trailers: list[bytes] = []
        self._take_line: Callable[[bytes], None] = self._take_size
        self._longest = MAX_LINE_BYTES

    def __len__(self) -> int:
        return len(self._buffer)

    def getfile(self) -> Any:
        return self._buffer.getfile()

    def getbuf(self) -> Any:
        return self._buffer

    def received(self, data: bytes) -> int:
        """How many bytes of `data` belong to this body."""
        rest = data
        try:
            while rest and not self.completed:
                rest = self._take_content(rest) if self._left else self._gather(rest)
        except Refusal as refusal:
            self.error = refusal
        return len(data) - len(rest)

    def _take_content(self, data: bytes) -> bytes:
        content = data[: self._left]
        self._buffer.append(content)
        self._left -= len(content)
        if not self._left:
            self._take_line, self._longest = self._take_end, len(b"\r\n")
        return data[len(content) :]

    def _gather(self, data: bytes) -> bytes:
        """Takes the bytes of `data` up to the end of a line, and acts on the line if that is there."""
        end = data.find(b"\n") + 1
        self._line += data[:end] if end else data[: self._longest + 1]
        if len(self._line) > self._longest:
            raise bad("a chunk does not end where its size says, or has too long a line")
        if not end:
            return b""
        line, self._line = self._line, b""
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise bad("a line of the body's framing does not end with CR LF")
        self._take_line(line[:-2])
        return data[end:]

    def _take_end(self, _line: bytes) -> None:
        self._take_line, self._longest = self._take_size, MAX_LINE_BYTES

    def _take_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise bad("the size of a chunk is malformed")
        self._left = int(found[1], 16)
        if len(self) + self._left >= self._max_bytes:
            raise Refusal("body_too_large", "request body too large")
        if not self._left:
            self._take_line = self._take_trailer

    def _take_trailer(self, line: bytes) -> None:
        if not line:
            check_fields(self._trailers)
            self.completed = True
            return
        self._trailers.append(line)
        if len(self._trailers) > MAX_FIELDS:
            raise Refusal("header_too_large", f"expected at most {MAX_FIELDS} trailers")
