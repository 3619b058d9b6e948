"""Ids of tasks: UUIDs, made quicker than by the standard library, which matters to those who enqueue thousands."""

from __future__ import annotations

import hashlib
import os

_VARIANTS = "89ab"


def new_id() -> str:
    """A new random UUID (RFC 9562, version 4) as text."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[str]:
    """So many of them."""
    return _spelled(os.urandom(16 * count))


def derived_ids(base: str, count: int) -> list[str]:
    """So many ids that look as random as `base` is, and are the same whenever they are made of it."""
    return _spelled(hashlib.shake_256(base.encode()).digest(16 * count))


def _spelled(octets: bytes) -> list[str]:
    """The UUIDs (version 4) that have these octets, 16 each."""
    digits = octets.hex()
    return [
        f"{digits[at : at + 8]}-{digits[at + 8 : at + 12]}-4{digits[at + 13 : at + 16]}"
        f"-{_VARIANTS[int(digits[at + 16], 16) & 3]}{digits[at + 17 : at + 20]}-{digits[at + 20 : at + 32]}"
        for at in range(0, len(digits), 32)
    ]
