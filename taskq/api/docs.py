"""The description of the API: as an OpenAPI document, and as a page for people that is made of it in the browser.

The page is plain HTML, CSS and one ES module, all served from here: it works without any other host, and its policy
lets the browser ask no other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import falcon
import msgspec

from taskq.api.describe import Answer, Header, Operation, Parameter, describe, json
from taskq.api.errors import ApiError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

FILES = {"docs.css": "text/css; charset=utf-8", "docs.js": "text/javascript; charset=utf-8"}

SAFE = (
    Header(name="Content-Security-Policy", description="What the page may load: its own files.", always=True),
    Header(name="X-Content-Type-Options", description="nosniff", always=True),
)


class OpenApi:
    """GET /openapi.json."""

    def __init__(self, build: Callable[[], dict[str, Any]]) -> None:
        self._document = cache(lambda: msgspec.json.encode(build()))

    @describe(
        Operation(
            id="openapi",
            tag="service",
            summary="Get this document",
            answers=[Answer(status=200, description="OpenAPI 3.1.", shapes=json({"type": "object"}))],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The description of every operation, made of the running service."""
        resp.data = self._document()

    on_head = on_get


class Docs:
    """GET /docs."""

    @describe(
        Operation(
            id="docs",
            tag="service",
            summary="Read this document",
            answers=[Answer(status=200, description="A page.", shapes={"text/html": {"type": "string"}}, headers=SAFE)],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """The same as a page for people."""
        _serve(resp, "docs.html", falcon.MEDIA_HTML)

    on_head = on_get


class DocsFile:
    """GET /docs/{name}."""

    @describe(
        Operation(
            id="docs_file",
            tag="service",
            summary="Get a file of the page",
            takes=[
                Parameter(name="name", place="path", schema={"type": "string", "enum": list(FILES)}, description="The file.")
            ],
            answers=[
                Answer(
                    status=200,
                    description="The file.",
                    shapes={"text/css": {"type": "string"}, "text/javascript": {"type": "string"}},
                    headers=SAFE,
                )
            ],
            refuses=["not_found"],
            asks_redis=False,
        )
    )
    def on_get(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Style or script."""
        if name not in FILES:
            raise ApiError("not_found", "there is nothing at this path")
        _serve(resp, name, FILES[name])

    on_head = on_get


def _serve(resp: falcon.Response, name: str, content_type: str) -> None:
    resp.data = _read(name)
    resp.content_type = content_type
    resp.set_header("Content-Security-Policy", POLICY)
    resp.set_header("X-Content-Type-Options", "nosniff")


@cache
def _read(name: str) -> bytes:
    return files("taskq.api").joinpath("static", name).read_bytes()
