"""The description of the API as an OpenAPI document."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import falcon
import msgspec

from taskq.api.describe import Answer, Operation, describe, json


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
