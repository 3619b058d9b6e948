"""Errors over HTTP: the only place that knows which code stands for which, and the shape of their bodies.

Every error body has the sentence under `error` that clients have always read, and is an RFC 9457 problem beside it. What
goes wrong inside of the service is logged here and never shown: a sentence for the client names no host, path or type.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import falcon
import msgspec

from taskq.api.connection import part
from taskq.api.identity import identify
from taskq.errors import QueueError, QueueFull, QueueRefused, QueueUnavailable, TaskNotFound, TaskqError, UniqueKeyTaken
from taskq.log import emit

STATUS: Mapping[str, int] = MappingProxyType(
    {
        "bad_request": 400,
        "invalid_body": 400,
        "type_required": 400,
        "unauthorized": 401,
        "cross_site": 403,
        "forbidden": 403,
        "not_found": 404,
        "task_not_found": 404,
        "type_not_found": 404,
        "queue_not_found": 404,
        "worker_not_found": 404,
        "schedule_not_found": 404,
        "operation_not_found": 404,
        "method_not_allowed": 405,
        "request_timeout": 408,
        "task_ended": 409,
        "task_not_ended": 409,
        "unique_key_taken": 409,
        "body_too_large": 413,
        "uri_too_long": 414,
        "unsupported_media_type": 415,
        "expectation_failed": 417,
        "misdirected": 421,
        "batch_refused": 422,
        "idempotency_key_reused": 422,
        "invalid_header": 422,
        "invalid_members": 422,
        "invalid_query": 422,
        "unknown_queue": 422,
        "unknown_type": 422,
        "header_too_large": 431,
        "internal_error": 500,
        "not_implemented": 501,
        "queue_unavailable": 503,
        "queue_full": 503,
        "queue_refused": 503,
        "shutting_down": 503,
        "version_not_supported": 505,
    }
)
"""Every code word of an error body, and the HTTP code it goes with."""

RETRY_AFTER_S = 2
"""What clients are told to wait when waiting helps: longer than a restart of this service or of Redis usually takes."""

PROBLEM = "application/problem+json"

_QUEUE_ERRORS: Mapping[type[QueueError], tuple[str, str]] = MappingProxyType(
    {
        QueueUnavailable: ("queue_unavailable", "Redis is not reachable; try again later"),
        QueueFull: ("queue_full", "Redis is full and takes no new task; try again when tasks have ended"),
        QueueRefused: ("queue_refused", "Redis refuses to serve the service; the log of the service says why"),
    }
)
_ENDING = frozenset({"body_too_large", "misdirected"})
"""What ends the connection, as a refusal by the server does: the rest of it will be no better."""

_HTTP_CODES: Mapping[int, str] = MappingProxyType({404: "not_found", 405: "method_not_allowed"})


class ApiError(TaskqError):
    """A request that is not carried out. `code` is a word of STATUS; each of `errors` has a `detail`, and under `pointer`
    (a JSON pointer into the body), `parameter` (of the query) or `header` where it belongs. `members` are further ones of
    the answer, such as the id of the task that stands in the way; `challenge` is the value of WWW-Authenticate."""

    def __init__(
        self,
        code: str,
        sentence: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        retry: bool = False,
        members: Mapping[str, Any] = MappingProxyType({}),
        challenge: str | None = None,
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.errors = errors
        self.retry = retry
        self.members = members
        self.challenge = challenge


def problem(
    code: str,
    sentence: str,
    *,
    request_id: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    members: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The body of an error."""
    status = STATUS[code]
    body: dict[str, Any] = {"error": sentence, "code": code, "title": HTTPStatus(status).phrase, "status": status}
    if request_id:
        body["request_id"] = request_id
    if errors:
        body["errors"] = list(errors)
    return {**body, **members}


def media_type(accept: str) -> str:
    """That of an error body for a client that sent this Accept. Old clients that accept anything get the type they know."""
    ranges = [part.replace(" ", "").lower().split(";") for part in accept.split(",")]
    named = any(name == PROBLEM and not {"q=0", "q=0.0", "q=0.00", "q=0.000"} & set(rest) for name, *rest in ranges)
    return PROBLEM if named else falcon.MEDIA_JSON


def key_taken(error: UniqueKeyTaken) -> ApiError:
    """The refusal of a task whose unique key another one holds."""
    return ApiError(
        "unique_key_taken",
        str(error),
        errors=[
            {"pointer": "/unique_key", "detail": f"expected a key that no unfinished task has, got {error.unique_key!r}"}
        ],
        members={"task_id": error.holder},
    )


def explain(error: QueueError) -> tuple[str, str]:
    """The code word and the sentence for what went wrong between us and Redis."""
    return _QUEUE_ERRORS.get(type(error), ("internal_error", "internal error"))


def install(app: falcon.App[falcon.Request, falcon.Response]) -> None:
    """Make `app` answer every exception with a JSON body."""
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(falcon.HTTPError, _from_falcon)
    app.add_error_handler(QueueError, _from_queue)
    app.add_error_handler(TaskNotFound, _task_not_found)
    app.add_error_handler(UniqueKeyTaken, _unique_key_taken)
    app.add_error_handler(ApiError, _from_api)


def _from_api(req: falcon.Request, resp: falcon.Response, error: ApiError, _params: dict[str, Any]) -> None:
    if error.challenge is not None:
        resp.set_header("WWW-Authenticate", error.challenge)
    _answer(req, resp, error.code, str(error), errors=error.errors, retry=error.retry, members=error.members)


def _unique_key_taken(req: falcon.Request, resp: falcon.Response, error: UniqueKeyTaken, params: dict[str, Any]) -> None:
    _from_api(req, resp, key_taken(error), params)


def _task_not_found(req: falcon.Request, resp: falcon.Response, _error: TaskNotFound, _params: dict[str, Any]) -> None:
    _answer(req, resp, "task_not_found", "task not found")


def _from_queue(req: falcon.Request, resp: falcon.Response, error: QueueError, params: dict[str, Any]) -> None:
    if type(error) not in _QUEUE_ERRORS:
        _unexpected(req, resp, error, params)
        return
    if isinstance(error, QueueRefused):
        emit("queue.refused", logging.ERROR, str(error), request_id=identify(req))
    code, sentence = explain(error)
    _answer(req, resp, code, sentence, retry=True)


def _from_falcon(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: dict[str, Any]) -> None:
    code = _HTTP_CODES.get(error.status_code, "bad_request")
    sentences = {
        "not_found": "there is nothing at this path",
        "method_not_allowed": f"the method {req.method} is not allowed here",
        "bad_request": error.description or "bad request",
    }
    resp.set_headers(error.headers or {})
    _answer(req, resp, code, sentences[code])


def _unexpected(req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
    emit(
        "request.failed",
        logging.ERROR,
        method=req.method,
        path=quote(req.path[:256]),
        request_id=identify(req),
        traceback="".join(traceback.format_exception(error)),
    )
    _answer(req, resp, "internal_error", "internal error")


def _answer(
    req: falcon.Request,
    resp: falcon.Response,
    code: str,
    sentence: str,
    *,
    errors: Sequence[Mapping[str, str]] = (),
    retry: bool = False,
    members: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    resp.status = STATUS[code]
    body = problem(code, sentence, request_id=identify(req), errors=errors, members=members)
    resp.data = msgspec.json.encode(body)
    resp.content_type = media_type(req.accept)
    if code in _ENDING:
        part(req)
    if retry:
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
