"""Payloads of Python values: as JSON text, and checked as the worker will check them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from taskq.errors import InvalidPayload
from taskq.signature import Signature

Check = Callable[[bytes | None], None]
"""What raises InvalidPayload for a payload that a handler would not take."""

_encode = msgspec.json.Encoder().encode


def encode_payload(value: Any) -> bytes:
    """A value as JSON text. Raises InvalidPayload for what JSON cannot say."""
    try:
        text = _encode(value)
        if b"null" in text:
            # msgspec writes null for NaN and the infinities, which the handler would then get as None
            json.dumps(msgspec.to_builtins(value), allow_nan=False)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidPayload(f"expected what JSON can say: {error}") from error
    return text


def encode_payloads(values: Iterable[Any], check: Check | None) -> list[bytes]:
    """Each of the values as JSON text that `check` takes. Raises InvalidPayload, whose pointer begins with the index."""
    texts = []
    for at, value in enumerate(values):
        try:
            text = encode_payload(value)
            if check is not None:
                check(text)
        except InvalidPayload as error:
            raise InvalidPayload(error.detail, f"/{at}{error.pointer}") from error
        texts.append(text)
    return texts


class Checker:
    """Checks payloads of one handler as its worker will."""

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._decode = msgspec.json.Decoder(signature.model).decode

    def check(self, payload: bytes | None) -> None:
        """Raises InvalidPayload, with a pointer, for a payload that the handler would not take."""
        if payload is not None and not self._signature.open_ended:
            try:
                self._decode(payload)
            except (msgspec.MsgspecError, RecursionError):
                pass  # binding it tells where and why, or takes what only looks wrong
            else:
                return
        self._signature.bind(payload)
