"""What an attempt says about its progress, in one place of the memory that all processes of a service share.

A word is written by one call that holds the GIL throughout, so the threads of a handler cannot mix theirs; a reader in
another process knows a half-written one by its number, which stands before and behind it and is never used twice.
"""

from __future__ import annotations

import math
import mmap
import struct
from time import monotonic_ns

from taskq.task import Progress

_WORD = struct.Struct("=QddH254sQ")
"""Number, done, total (NaN: unknown), length and bytes of the message, the number again. Number 0: nothing was said."""

_NOTHING = bytes(8)
"""The number where nothing was said."""

_MESSAGE_BYTES = 254
_LOOKS = 100

WORD_BYTES = _WORD.size


class Word:
    """The place at `at` in `memory`. Worker and forked children of a handler may write to it."""

    def __init__(self, memory: mmap.mmap, at: int) -> None:
        self._memory = memory
        self._at = at

    def say(self, done: float, total: float | None, message: str) -> None:
        """Write over what was said before. Raises TypeError for what is no number or no text."""
        number = monotonic_ns()
        try:
            text = message.encode("utf-8", "replace")[:_MESSAGE_BYTES] if message else b""
            of = math.nan if total is None else total
            _WORD.pack_into(self._memory, self._at, number, done, of, len(text), text, number)
        except (struct.error, OverflowError, AttributeError) as error:
            raise TypeError(f"progress: expected numbers and a text, got {done!r}, {total!r}, {message!r}") from error

    def clear(self) -> None:
        """Have said nothing."""
        self._memory[self._at : self._at + 8] = _NOTHING

    def read(self) -> tuple[int, Progress] | None:
        """What was said last, and its number; None for nothing, or when nothing whole was seen in many looks."""
        if self._memory[self._at : self._at + 8] == _NOTHING:
            return None
        for _ in range(_LOOKS):
            word = self._memory[self._at : self._at + WORD_BYTES]
            number, done, total, length, text, again = _WORD.unpack(word)
            if number == 0 or (number == again and not math.isfinite(done)):
                return None
            if number == again:
                message = text[:length].decode("utf-8", "ignore")
                return number, Progress(done, total if math.isfinite(total) else None, message)
        return None
