"""The id of a request: the client's own if it is well formed, a new one else. It ends up in headers, bodies and logs."""

from __future__ import annotations

import os
import re
import time

import falcon

_WELL_FORMED = re.compile(r"[A-Za-z0-9._\-]{1,128}\Z")


def identify(req: falcon.Request) -> str:
    """The id, which stays the same; the first call also notes in `req.context.began_at` when the request was first seen."""
    if not hasattr(req.context, "request_id"):
        given = req.get_header("X-Request-ID") or ""
        req.context.request_id = given if _WELL_FORMED.match(given) else os.urandom(16).hex()
        req.context.began_at = time.perf_counter()
    found: str = req.context.request_id
    return found
