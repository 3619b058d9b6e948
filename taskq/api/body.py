"""Request bodies: strict JSON in, compact JSON out.

What is accepted here is stored, shown to every client and decoded again by workers, so it is only what all of them can read:
what JSON leaves open (duplicate keys, lone surrogates, numbers without bound, nesting without bound) is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any, NoReturn

import falcon
import msgspec

from taskq.api.errors import ApiError

MAX_DEPTH = 128
"""Arrays and objects within each other, the body itself included: far below what any decoder's stack can take."""

MAX_DIGITS = 4300
"""Digits of an integer: what Python and msgspec convert by default. The time it takes grows with the square."""

LINE_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")

_JSON_TYPE = re.compile(r"application/(?:json|[a-z0-9.!#$&^_\-]+\+json)\Z")
_FORM_TYPE = "application/x-www-form-urlencoded"
_OF_BROWSERS = ("Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest")
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_object(req: falcon.Request, max_bytes: int, *, or_else: str = "") -> dict[str, Any]:
    """The JSON object that a request carries. Raises ApiError for anything else; `or_else` names what could be sent too."""
    return _object(_raw(req, max_bytes), req, or_else)


def read_optional_object(req: falcon.Request, max_bytes: int) -> dict[str, Any]:
    """Like `read_object`, but nothing at all counts as {}."""
    raw = _raw(req, max_bytes)
    return _object(raw, req) if raw else {}


def read_lines(req: falcon.Request, max_bytes: int) -> list[bytes]:
    """The lines of newline-delimited JSON that a request carries, without the blank ones; none of them is looked at."""
    raw = _raw(req, max_bytes)
    _check_coding(req.get_header("Content-Encoding"))
    return [line for line in raw.split(b"\n") if line.strip()]


def is_lines(req: falcon.Request) -> bool:
    """Whether the request says that it carries newline-delimited JSON. Raises ApiError for another charset than UTF-8."""
    name, parameters = _parsed(req.content_type or "")
    if name.strip().lower() not in LINE_TYPES:
        return False
    _check_charset(parameters)
    return True


def decode(raw: bytes) -> Any:
    """A JSON text as Python values. Raises ValueError with a sentence for whoever wrote the text."""
    if raw.startswith(b"\xef\xbb\xbf"):
        raise ValueError("expected JSON without a byte order mark")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"expected UTF-8, got a wrong byte at position {error.start}") from error
    if not text.strip(" \t\r\n"):
        raise ValueError("expected JSON, got nothing")
    if _deeper_than(raw, MAX_DEPTH):
        raise ValueError(f"expected at most {MAX_DEPTH} levels of nesting")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg.removesuffix(' at')} at line {error.lineno} column {error.colno}") from error
    if _SURROGATE.search(text):
        _refuse_lone_surrogates(value)
    return value


def encode(value: Any) -> bytes:
    """What `decode` returned, as compact JSON. Raises UnicodeEncodeError for half of a surrogate pair."""
    return msgspec.json.encode(value)


def _raw(req: falcon.Request, max_bytes: int) -> bytes:
    if (req.content_length or 0) > max_bytes:
        _refuse_size(max_bytes)
    raw = req.bounded_stream.read(max_bytes + 1)
    if len(raw) > max_bytes:
        _refuse_size(max_bytes)
    return raw


def _refuse_size(max_bytes: int) -> NoReturn:
    detail = {"pointer": "", "detail": f"expected at most {max_bytes} bytes"}
    raise ApiError("body_too_large", "request body too large", errors=[detail])


def _object(raw: bytes, req: falcon.Request, or_else: str = "") -> dict[str, Any]:
    _check_type(req, or_else)
    _check_coding(req.get_header("Content-Encoding"))
    try:
        value = decode(raw)
        if not isinstance(value, dict):
            raise ValueError("expected a JSON object")
    except ValueError as error:
        raise invalid_body(str(error)) from error
    return value


def invalid_body(detail: str, pointer: str = "") -> ApiError:
    """The error for a body that is not what this API reads at all."""
    return ApiError("invalid_body", "invalid request body", errors=[{"pointer": pointer, "detail": detail}])


def _check_type(req: falcon.Request, or_else: str) -> None:
    """A page of another site can make a browser send text or a form, but not JSON, without asking first. What curl calls a
    form unless told otherwise is taken from anything that is no browser."""
    if not req.content_type or not req.content_type.strip():
        return
    name, parameters = _parsed(req.content_type)
    if name.strip().lower() == _FORM_TYPE and not any(req.get_header(header) is not None for header in _OF_BROWSERS):
        return
    if not _JSON_TYPE.match(name.strip().lower()):
        wanted = f"application/json or {or_else}" if or_else else "application/json"
        raise ApiError("unsupported_media_type", f"expected Content-Type: {wanted}, got {name.strip()[:100]!r}")
    _check_charset(parameters)


@lru_cache(maxsize=64)
def _parsed(content_type: str) -> tuple[str, Mapping[str, str]]:
    """The media type and its parameters; clients send few different ones."""
    return falcon.parse_header(content_type)


def _check_charset(parameters: Mapping[str, str]) -> None:
    charset = next((value for key, value in parameters.items() if key.lower() == "charset"), "utf-8")
    if charset.lower() not in ("utf-8", "utf8"):
        raise ApiError("unsupported_media_type", f"expected charset utf-8 in Content-Type, got {charset[:100]!r}")


def _check_coding(coding: str | None) -> None:
    if coding and coding.strip().lower() != "identity":
        raise ApiError("unsupported_media_type", f"expected a body without Content-Encoding, got {coding[:100]!r}")


def _deeper_than(raw: bytes, limit: int) -> bool:
    """Looked up before decoding, so that the answer does not depend on the interpreter's stack."""
    if raw.count(b"[") + raw.count(b"{") <= limit:
        return False
    brackets = _STRING.sub(b"", raw).translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > limit


def _refuse_lone_surrogates(value: Any) -> None:
    try:
        encode(value)
    except UnicodeEncodeError as error:
        raise ValueError("expected text, got half of a surrogate pair in a \\u escape") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"expected each key once in an object, got {twice[:100]!r} twice")
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"expected a number of at most {MAX_DIGITS} digits, got one of {len(digits)}")
    return int(digits)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"expected a number that fits into 64 bits, got {text[:100]}")
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"expected a number, got {name}")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=_no_constant)
