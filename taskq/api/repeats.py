"""The header Idempotency-Key: a request that is sent again is answered as the first one was, and stores nothing again."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

import falcon

from taskq.api.context import ApiContext
from taskq.api.describe import Header, Parameter
from taskq.api.errors import ApiError
from taskq.queue.repeats import Claim, claim
from taskq.tokens import Token
from taskq.units import shown

HEADER = "Idempotency-Key"

REPLAYED = "Idempotency-Replayed"
"""The header of an answer to a repeat."""

KEY = Parameter(
    name=HEADER,
    place="header",
    # HTTP takes away what spaces a value begins or ends with
    schema={"type": "string", "pattern": r"^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$"},
    description="Makes the request safe to repeat for 24 hours.",
)
REPLAYED_HEADER = Header(
    name=REPLAYED,
    description="That this is the answer to an earlier request.",
    schema={"type": "string", "enum": ["true"]},
)

_KEY = re.compile(r"[\x20-\x7e]{1,128}\Z")
_CANONICAL = json.JSONEncoder(
    ensure_ascii=True, allow_nan=False, check_circular=False, sort_keys=True, separators=(",", ":")
)


class Repeat(NamedTuple):
    """What a key stands for: the id and queue of the first request. `again` is False for that request itself."""

    task_id: str
    queue: str
    again: bool


def read_key(req: falcon.Request) -> str | None:
    """The key that a request bears, None for none. Raises ApiError for one that is empty, too long or not printable."""
    value = req.get_header(HEADER)
    if value is None or _KEY.match(value):
        return value
    detail = f"expected 1 to 128 printable ASCII characters, got {shown(value)}"
    raise ApiError("invalid_header", f"invalid {HEADER}: {detail}", errors=[{"header": HEADER, "detail": detail}])


def resolve(context: ApiContext, req: falcon.Request, key: str, body: Any, wanted: tuple[str, str]) -> Repeat:
    """Take `key` for this request, whose task or batch would have the id and queue `wanted`, or find who has it.

    Raises ApiError when that was a request with another body or for another path. Callers with different tokens do not
    share their keys: what one of them has sent is nothing that another one may be told.
    """
    token: Token | None = getattr(req.context, "token", None)
    own_key = key if token is None else f"{token.name}\n{key}"  # no key has a line end
    text = f"{req.path}\n{_CANONICAL.encode(body)}"
    fingerprint = hashlib.sha256(text.encode()).hexdigest()
    inspector = context.inspector
    held = claim(inspector.link, inspector.prefix, own_key, Claim(*wanted, same=True), fingerprint)
    if not held.same:
        detail = "expected a key of its own for each request; this one was used for a request with another body"
        raise ApiError("idempotency_key_reused", f"{HEADER}: {detail}", errors=[{"header": HEADER, "detail": detail}])
    return Repeat(held.task_id, held.queue, again=held.task_id != wanted[0])
