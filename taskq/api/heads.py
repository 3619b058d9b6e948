"""Headers of requests that were read already: a client sends the same one again and again.

To check and to take apart a header costs a tenth of a short request. Only what passed every check is kept, byte for byte, so
that a known header means exactly what it meant the first time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

KNOWN_BODY_BYTES = 4096
"""Headers of smaller bodies are kept; so large a body no server of ours refuses by its header."""

MOST_HEADS = 256
LARGEST_BYTES = 1024

_END = b"\r\n\r\n"
_OWN = frozenset({"adj", "body_rcv", "headers", "header_plus", "header_bytes_received", "begun"})
"""What a parser has that is not said by the header."""


class Known(NamedTuple):
    """A header of `size` bytes: the attributes that a parser has after it, and the fields."""

    size: int
    said: Mapping[str, Any]
    headers: dict[str, str]


class Heads:
    """The latest different headers, MOST_HEADS of at most LARGEST_BYTES each. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[bytes, Known] = {}

    def find(self, data: bytes) -> Known | None:
        """What is known of the header that `data` begins with; None for one that is not known, or not complete."""
        return self._known.get(data[: data.find(_END) + len(_END)])

    def keep(self, header: bytes, parser: Any) -> None:
        """Keep a header, with its empty line, that `parser` has just read without a fault."""
        if len(header) > LARGEST_BYTES:
            return
        said = {name: value for name, value in vars(parser).items() if name not in _OWN}
        with self._lock:
            self._known[header] = Known(len(header), said, dict(parser.headers))
            if len(self._known) > MOST_HEADS:
                del self._known[next(iter(self._known))]


HEADS = Heads()
