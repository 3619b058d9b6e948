"""Who may do what: bearer tokens, the roles they have, and the table of what each role may.

A token that is wrong says so with 401, one whose role is too low with 403. The token itself is never logged, its name is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import falcon

from taskq.api.context import ApiContext, ApiSettings
from taskq.api.errors import ApiError
from taskq.tokens import Role, Token

SUBMITTERS_MAY = frozenset(
    {
        ("POST", "/tasks"),
        ("POST", "/tasks/batch"),
        ("POST", "/tasks/{task_id}/cancel"),
    }
)
"""The whole difference between the roles: `read` has every GET, `submit` these calls too, and `admin` everything."""

OPEN_PATHS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "metrics": ("/metrics",),
        "docs": ("/docs", "/docs/", "/openapi.json"),
        "ui": ("/ui", "/ui/"),
        "version": ("/version",),
    }
)
"""What `api.open` can name; a path that ends in a slash stands for all below it."""

ALWAYS_OPEN = frozenset({"/health", "/health/live", "/health/ready"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Access:
    """Lets a request in by its token. Without a file of tokens everybody may do everything."""

    def __init__(self, context: ApiContext) -> None:
        self._tokens = context.tokens
        self._settings = context.settings

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Before anything is looked up, so that a stranger does not even learn which paths there are."""
        if self._tokens is None or is_open(req.path, self._settings):
            return
        header = req.get_header("Authorization") or ""
        scheme, _, token = header.strip(" \t").partition(" ")
        # Latin-1 is how WSGI carries bytes: whatever a client sends becomes those bytes again.
        found = self._tokens.find(token.strip(" \t").encode("latin-1")) if scheme.lower() == "bearer" else None
        if found is None:
            raise _refusal(given=bool(header))
        req.context.token = found

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _params: dict[str, Any]
    ) -> None:
        token: Token | None = getattr(req.context, "token", None)
        if token is None:
            return
        needed = needed_role(req.method, req.uri_template or "")
        if token.role < needed:
            raise ApiError("forbidden", f"this needs a token with the role {needed}; this one has {token.role}")


def is_open(path: str, settings: ApiSettings) -> bool:
    """Whether a path, or one of the paths of a template, needs no token even where others do."""
    if path in ALWAYS_OPEN:
        return True
    known = (each for name in settings.open for each in OPEN_PATHS[name])
    return any(path == each or (each.endswith("/") and path.startswith(each)) for each in known)


def needed_role(method: str, route: str) -> Role:
    """The least role that may call this route."""
    if method in _READING:
        return Role.READ
    return Role.SUBMIT if (method, route) in SUBMITTERS_MAY else Role.ADMIN


def _refusal(*, given: bool) -> ApiError:
    if not given:
        return ApiError("unauthorized", "expected Authorization: Bearer <token>", challenge="Bearer")
    return ApiError("unauthorized", "this token is not known here", challenge='Bearer error="invalid_token"')
