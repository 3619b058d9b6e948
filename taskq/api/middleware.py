"""What happens to every request: it gets an id, is refused if another site made a browser send it, and is logged."""

from __future__ import annotations

import logging
import time
from typing import Any
from urllib.parse import quote

import falcon
from falcon.constants import COMBINED_METHODS

from taskq.api.errors import ApiError
from taskq.api.identity import identify
from taskq.api.requests import OFFERED_METHODS, counted_method
from taskq.log import emit, is_shown
from taskq.queue.requests import Request, Requests
from taskq.tokens import Token

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})
_PATH_LENGTH = 256
_USUAL_PORTS = {"http": ":80", "https": ":443"}


class RequestLog:
    """Gives each request its id, which the answer repeats, and logs and counts how it ended."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        identify(req)

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        request_id = identify(req)
        resp.set_header("X-Request-ID", request_id)
        self._requests.count(Request(counted_method(req.method), req.uri_template or "", resp.status_code))
        quiet = req.method in _SAFE_METHODS and req.path.startswith("/health")
        level = logging.DEBUG if quiet else logging.INFO
        if not is_shown(level):
            return
        emit(
            "request.handled",
            level,
            method=req.method,
            # Percent-encoded again: a decoded line end would forge a line in a log for people.
            path=quote(req.path[:_PATH_LENGTH]),
            status=resp.status_code,
            duration_s=round(time.perf_counter() - req.context.began_at, 6),
            request_id=request_id,
            caller=_token_name(req),
        )


class SameOrigin:
    """Refuses a change that a page of another site made a browser send. Browsers that do not say where a request comes
    from (Sec-Fetch-Site) at least name the page's origin, which then must be the host that they ask."""

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        if req.method in _SAFE_METHODS:
            return
        site, origin = req.get_header("Sec-Fetch-Site"), req.get_header("Origin")
        own = site in _OWN_SITES if site is not None else origin is None or _host_of(origin) == _host(req)
        if not own:
            raise ApiError("cross_site", "a page of another site may not change anything here")


class KnownMethods:
    """Answers a method that Falcon has never heard of as it answers any other that the resource does not have, and names
    OPTIONS among those that it has."""

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, resource: object, _params: dict[str, Any]
    ) -> None:
        if req.method not in COMBINED_METHODS:
            raise falcon.HTTPMethodNotAllowed([m for m in OFFERED_METHODS if hasattr(resource, f"on_{m.lower()}")])

    def process_response(self, _req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: bool) -> None:
        allowed = resp.get_header("Allow")
        if allowed and "OPTIONS" not in allowed:
            resp.set_header("Allow", f"{allowed}, OPTIONS")


def _host_of(origin: str) -> str:
    """Host and port of an origin, without the port that its scheme has anyway; "" for one that is none ("null")."""
    scheme, separator, host = origin.lower().partition("://")
    return host.removesuffix(_USUAL_PORTS.get(scheme, "")) if separator else ""


def _host(req: falcon.Request) -> str:
    """Host and port that the client asks. A proxy may have ended TLS, so both usual ports count as none."""
    host = (req.get_header("Host") or "").lower()
    return host.removesuffix(":80").removesuffix(":443")


def _token_name(req: falcon.Request) -> str | None:
    """Who it was: the name of the token, which is no secret."""
    token: Token | None = getattr(req.context, "token", None)
    return token.name if token else None
