"""How an answer gets onto the wire: its header is put together quickly, and leaves with its body in one system call.

waitress spells and sorts the header of every answer anew, and sends it ahead of the body. It also ends the connection after
an answer that has no body, although everybody knows where that ends (RFC 9112, section 6.3).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import WSGITask
from waitress.utilities import build_http_date


class QuickTask(WSGITask):
    """A request whose answer is made and sent with as little as possible. What is unusual is left to waitress."""

    close_on_finish: bool
    content_length: int | None
    content_bytes_written: int
    request: Any
    response_headers: list[tuple[str, str]]
    start_time: int
    status: str
    version: str
    wrote_header: bool

    def write(self, data: bytes) -> None:
        if not data or self.wrote_header or not self.has_body or len(data) != self.content_length:
            super().write(data)
            return
        header = self.build_response_header()
        self.wrote_header = True
        self.content_bytes_written = len(data)
        self.channel.write_soon(header + data)

    def build_response_header(self) -> bytes:
        body = self.has_body
        connection = self.request.headers.get("CONNECTION", "")
        if self.version != "1.1" or connection.lower() == "close" or (body and self.content_length is None):
            usual: bytes = super().build_response_header()
            return usual
        lines = [f"HTTP/1.1 {self.status}"]
        lines += [
            f"{_spelled(name)}: {value}" for name, value in self.response_headers if body or name.lower() != "content-length"
        ]
        lines.append(f"Date: {_date(int(self.start_time))}\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")


class QuickChannel(HTTPChannel):
    """A connection that sends an answer at once where nothing of an earlier one is left to be sent."""

    connected: bool
    outbuf_lock: Any
    total_outbufs_len: int

    def write_soon(self, data: Any) -> int:
        size = len(data)
        if isinstance(data, bytes) and not self.total_outbufs_len and self.connected:
            with self.outbuf_lock:
                if not self.total_outbufs_len:
                    data = data[self.send(data, do_close=False) :]
        super().write_soon(data)
        return size


@lru_cache(maxsize=256)
def _spelled(name: str) -> str:
    """The name of a header as waitress writes it: Falcon knows it in small letters."""
    return "-".join(part.capitalize() for part in name.split("-"))


@lru_cache(maxsize=2)
def _date(second: int) -> str:
    date: str = build_http_date(second)
    return date
