"""A token marks one call whose answer tells what it did, so that its repetition after a lost reply is answered alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager


def new_token() -> str:
    """The token of one call."""
    return secrets.token_hex(8)


class Unanswered:
    """The last token of each caller whose answer has not come: a later call for the same is its repetition, also when
    patience ended in between. For one thread at a time."""

    def __init__(self) -> None:
        self._tokens: dict[str, tuple[object, str]] = {}

    @contextmanager
    def token(self, caller: str, asked: object = None) -> Iterator[str]:
        """The token for what is asked within the block; forgotten when that ends without an exception."""
        open_ = self._tokens.get(caller)
        if open_ is None or open_[0] != asked:
            open_ = self._tokens[caller] = (asked, new_token())
        yield open_[1]
        del self._tokens[caller]
