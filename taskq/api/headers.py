"""The headers that every answer has, whatever answers: nothing here is for a browser to guess, keep, frame or run."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import falcon

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)

_LOWERED = [(name.lower(), value) for name, value in HEADERS.items()]
"""As Falcon knows them; Cache-Control is the first."""

_REVALIDATED = "private, no-cache"
"""What can be asked for again by its ETag may be kept by that client, though never used unasked."""


class SafeHeaders:
    """Adds them where a resource has not said otherwise."""

    def process_response(self, _req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        given = resp.headers
        missing = [header for header in _LOWERED if not given.get(header[0])]
        if given.get("etag") and not given.get("cache-control"):
            missing[0] = ("cache-control", _REVALIDATED)
        resp.set_headers(missing)
