"""What the OpenAPI document says in words: about the whole, about each group of operations, and of each error a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ABOUT = """\
Bodies are JSON (UTF-8, each key once, at most 128 levels, integers of at most 4,300 digits, other numbers \
that fit into 64 bits), at most {settings.max_body_bytes} bytes, a batch {settings.max_batch_bytes}. A member that is null \
counts as absent; members and query parameters that are not described are ignored. Times are RFC 3339 in UTC, durations \
read `30`, `"30s"`, `"5m"`.

Every error has the shape `Problem`, whatever path or method was asked for: its `code` is one of the examples, its `errors` \
point at every member, parameter or header at fault. Ask with `Accept: application/problem+json` to get that media type.

Every path that answers GET answers HEAD, and every path OPTIONS; any other method is a 405 with `Allow`."""

TAGS: Mapping[str, str] = MappingProxyType(
    {
        "tasks": "Enqueue, watch, cancel and requeue tasks.",
        "operations": "Actions on many tasks, and how far they have come.",
        "queues": "What waits where; pause, resume and purge.",
        "types": "What each task type takes.",
        "schedules": "Tasks that are enqueued by the clock.",
        "workers": "Who runs what.",
        "stats": "What happened, and when.",
        "service": "Health, version, and this document.",
    }
)
"""The groups of operations, in the order of the page."""

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "bad_request": "bad request: the header host is missing",
        "invalid_body": "invalid request body",
        "type_required": "type is required",
        "unauthorized": "a token is needed",
        "forbidden": "the token does not allow this",
        "cross_site": "a page of another site may not change anything here",
        "not_found": "there is nothing at this path",
        "task_not_found": "task not found",
        "operation_not_found": "operation not found",
        "type_not_found": "type not found",
        "queue_not_found": "queue not found",
        "worker_not_found": "worker not found",
        "schedule_not_found": "schedule not found",
        "method_not_allowed": "the method PUT is not allowed here",
        "request_timeout": "the request took too long to arrive",
        "task_ended": "the task has already ended: it is completed",
        "task_not_ended": "only a failed or cancelled task can be requeued; this one is pending",
        "unique_key_taken": "the unique key 'report' is held by task 5335d502-a2c7-4abd-9496-c64692b43869 "
        "until that has ended",
        "body_too_large": "request body too large",
        "uri_too_long": "expected a request line of at most 8192 bytes",
        "unsupported_media_type": "expected Content-Type: application/json, got 'text/plain'",
        "expectation_failed": "expected Expect: 100-continue or none",
        "misdirected": "this service is not known by the name in Host; api.hosts lists further ones",
        "batch_refused": "1 of 2 tasks are refused, so none was stored; the first: type is required",
        "idempotency_key_reused": "Idempotency-Key: expected a key of its own for each request; this one was used for a "
        "request with another body",
        "invalid_header": "invalid Idempotency-Key: expected 1 to 128 printable ASCII characters, got ''",
        "invalid_members": "invalid priority: expected one of high, normal, low, got 'urgent'",
        "invalid_query": "invalid limit: expected a number from 1 to 500, got 'abc'",
        "unknown_queue": "unknown queue: mial; did you mean mail?",
        "unknown_type": "unknown task type: ehco; did you mean echo?",
        "header_too_large": "request header too large",
        "internal_error": "internal error",
        "not_implemented": "expected Transfer-Encoding: chunked or none",
        "queue_unavailable": "Redis is not reachable; try again later",
        "queue_full": "Redis is full and takes no new task; try again when tasks have ended",
        "queue_refused": "Redis refuses to serve the service; the log of the service says why",
        "shutting_down": "the service is shutting down",
        "version_not_supported": "expected HTTP/1.0 or HTTP/1.1",
    }
)
"""An example of the sentence under `error` for each code word."""
