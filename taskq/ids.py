"""Ids of tasks: UUIDs, made quicker than by the standard library, which matters to those who enqueue thousands."""

from __future__ import annotations

import hashlib
import os
import re

LENGTH = 36
_AHEAD = 512
_DIGITS = [at for at in range(LENGTH) if at not in (8, 13, 18, 23)]
"""Where the hexadecimal digits stand, between the hyphens."""
_FORM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_VERSION = bytes(0x40 | byte & 0x0F for byte in range(256))
_VARIANT = bytes(0x80 | byte & 0x3F for byte in range(256))


class _Stock:
    """Ids made ahead. A child makes its own: nothing of what its parent had may be used twice."""

    pid = 0
    ids: list[str] = []  # noqa: RUF012 - replaced as a whole


def new_id() -> str:
    """A new random UUID (RFC 9562, version 4) as text."""
    if _Stock.pid != os.getpid():
        _Stock.ids, _Stock.pid = [], os.getpid()
    try:
        return _Stock.ids.pop()
    except IndexError:
        more = new_ids(_AHEAD)
        _Stock.ids += more[1:]
        return more[0]


def new_ids(count: int) -> list[str]:
    """So many of them."""
    return _spelled(os.urandom(16 * count))


def derived_ids(base: str, count: int) -> list[str]:
    """So many ids that look as random as `base` is, and are the same whenever they are made of it."""
    return _spelled(hashlib.shake_256(base.encode()).digest(16 * count))


def read_id(text: str) -> str | None:
    """The id that somebody names, as it is stored, in small letters; None for what is none: no other was ever given out."""
    small = text.lower()
    return small if _FORM.match(small) else None


def _spelled(random: bytes) -> list[str]:
    """The UUIDs (version 4) that have these octets, 16 each. The digits of one place are put there for all ids at once."""
    octets = bytearray(random)
    octets[6::16] = octets[6::16].translate(_VERSION)
    octets[8::16] = octets[8::16].translate(_VARIANT)
    digits = octets.hex().encode()
    text = bytearray(b"-" * LENGTH * (len(octets) // 16))
    for at, place in enumerate(_DIGITS):
        text[place::LENGTH] = digits[at::32]
    joined = text.decode()
    return [joined[at : at + LENGTH] for at in range(0, len(joined), LENGTH)]
