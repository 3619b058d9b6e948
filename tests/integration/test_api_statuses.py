"""What is answered to whatever a client can send: paths, methods, parameters and headers with exact status and code word."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from taskq.queue.queue import Queue
from tests.integration.calls import ECHO, JSON, LINES, Caller, Expected, Request, compare
from tests.integration.conftest import Address
from tests.integration.steps import enqueued

NOBODY = "5335d502-a2c7-4abd-9496-c64692b43869"

NOT_FOUND = {"tasks": "task", "operations": "operation", "queues": "queue", "types": "type", "schedules": "schedule"}
NOT_FOUND["workers"] = "worker"


@pytest.fixture
def call(api_address: Address) -> Caller:
    return Caller(api_address)


def filled(template: str) -> str:
    """A path of the document that names what nobody knows."""
    return (
        template.replace("{task_id}", NOBODY)
        .replace("{operation_id}", NOBODY)
        .replace("{name}", "nobody")
        .replace("{worker_id}", "nobody")
    )


def missing(template: str) -> tuple[int, str]:
    """How a path is answered that names what nobody knows."""
    first = template.split("/")[1]
    return 404, "not_found" if first == "docs" else f"{NOT_FOUND[first]}_not_found"


def methods(call: Caller) -> Iterator[tuple[str, set[str]]]:
    """Each path of the document, and what it answers."""
    for template, operations in call.contract.document["paths"].items():
        offered = {method.upper() for method in operations}
        yield template, offered | ({"HEAD"} if "GET" in offered else set())


def test_a_path_refuses_the_methods_it_does_not_have_and_tells_those_it_has(call: Caller) -> None:
    for template, offered in methods(call):
        path = filled(template)
        for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"} - offered:
            answer = call(Request(method, path, JSON, b"{}" if method in ("POST", "PUT", "PATCH") else None))
            assert answer.status == 405, (method, path)
            assert answer.code == (None if method == "HEAD" else "method_not_allowed")
            assert set(answer.headers["allow"].split(", ")) == {*offered, "OPTIONS"}, (method, path)
        options = call(Request("OPTIONS", path))
        assert (options.status, options.content) == (200, b"")
        assert set(options.headers["allow"].split(", ")) == {*offered, "OPTIONS"}


def test_what_nobody_knows_is_not_found_whatever_is_done_to_it(call: Caller) -> None:
    table = [
        (Request(method, filled(template), JSON, b"{}" if method == "POST" else None), missing(template))
        for template, offered in methods(call)
        if "{" in template
        for method in sorted(offered - {"HEAD"})
    ]

    assert len(table) > 15
    compare(call, table)


def test_a_head_tells_what_a_get_would(call: Caller, queue: Queue) -> None:
    task_id = enqueued(queue)
    for template, offered in methods(call):
        if "GET" not in offered:
            continue
        path = template.replace("{task_id}", task_id).replace("{name}", "default").replace("{operation_id}", NOBODY)
        got, head = call(Request("GET", path)), call(Request("HEAD", path))
        assert (head.status, head.content) == (got.status, b""), path
        assert head.headers["content-type"] == got.headers["content-type"], path
        # the tag of a waiting task changes with what is told of its waiting
        assert head.headers.keys() == got.headers.keys(), path


PATHS: dict[str, Expected] = {
    "/": (404, "not_found"),
    "/nothing": (404, "not_found"),
    "/tasks/": (404, "task_not_found"),
    "/tasks//": (404, "not_found"),
    "/queues/": (404, "queue_not_found"),
    "/health/": (404, "not_found"),
    "/version/": (404, "not_found"),
    "/TASKS": (404, "not_found"),
    "/tasks;a=b": (404, "not_found"),
    "/tasks%00": (404, "not_found"),
    "/tasks%20": (404, "not_found"),
    "/tasks%2f": (404, "task_not_found"),
    "/%74asks": (200, None),
    "/./tasks": (404, "not_found"),
    "/tasks/../version": (404, "not_found"),
    "/tasks/%2e%2e": (404, "task_not_found"),
    "/tasks/x": (404, "task_not_found"),
    "/tasks/%ff": (404, "task_not_found"),
    "/tasks/%F0%9F%98%80": (404, "task_not_found"),
    "/tasks/%ED%A0%80": (404, "task_not_found"),
    "/tasks/%0d%0aX-Evil:1": (404, "task_not_found"),
    f"/tasks/{NOBODY.upper()}": (404, "task_not_found"),
    f"/tasks/{NOBODY}%00": (404, "task_not_found"),
    f"/tasks/{NOBODY.replace('-', '')}": (404, "task_not_found"),
    f"/tasks/{{{NOBODY}}}": (404, "task_not_found"),
    f"/tasks/{NOBODY}/": (404, "not_found"),
    f"/tasks/{NOBODY}/nothing": (404, "not_found"),
    "/tasks/" + "9" * 7000: (404, "task_not_found"),
    "/operations/" + "9" * 7000: (404, "operation_not_found"),
    "/queues/a%20b": (404, "queue_not_found"),
    "/queues/%00": (404, "queue_not_found"),
    "/queues/" + "q" * 129: (404, "queue_not_found"),
    "/queues/default%2Fpause": (405, "method_not_allowed"),
    "/types/%ff": (404, "type_not_found"),
    "/workers/%ff": (404, "worker_not_found"),
    "/schedules/%ff": (404, "schedule_not_found"),
    "/docs/..%2f..%2fetc%2fpasswd": (404, "not_found"),
    "/docs/docs.html": (404, "not_found"),
    "/metrics?name=x": (200, None),
    "/version?a=1&a=2&b=%ff&=&c": (200, None),
    "/health?wait=x": (200, None),
}


def test_a_path_leads_to_one_thing_or_to_nothing(call: Caller, queue: Queue) -> None:
    enqueued(queue)

    compare(call, [(Request("GET", path), expected) for path, expected in PATHS.items()])


def at(*names: str) -> Expected:
    """Refused with a fault in each of these parameters, members or headers."""
    return 422, "invalid_query", list(names)


NAME = {
    "": True,
    "a b": True,
    "a/b": True,
    "ä": True,
    "a" * 129: True,
    "a\x00": True,
    "a\n": True,
    "a" * 128: False,
    "-": False,
}
MOMENT = {"": True, "now": True, "2026-02-01": True, "1769943212": True, "2026-02-30T10:53:32Z": True, "9" * 5000: True}
MOMENT |= {"2026-02-01T10:53:32": True, "0001-01-01T00:00:00+00:01": True, "2026-02-01T10:53:32.5+02:00": False}
MOMENT |= {"0001-01-01T00:00:00Z": False, "9999-12-31T23:59:59.999999999Z": False, "2026-02-01t10:53:32z": False}
LISTED: dict[str, dict[str, bool]] = {
    "status": {"": True, "done": True, "FAILED": True, "failed,pending": True, "scheduled": False, "processing": False},
    "type": NAME,
    "queue": NAME,
    "tag": NAME,
    "error_kind": {"": True, "oom": True, "timeout": False},
    "created_after": MOMENT,
    "created_before": MOMENT,
    "finished_after": MOMENT,
    "finished_before": MOMENT,
    "order": {"": True, "up": True, "ASC": True, "asc": False, "desc": False},
    "limit": {"": True, "0": True, "-1": True, "501": True, "1.5": True, "1e2": True, "NaN": True, "٣": True,
              " 5": True,
              "9" * 5000: True, "18446744073709551616": True, "0x10": True, "1": False, "500": False},
    "cursor": {"": True, "0": True, "abc": True, "%": True, "9" * 5000: True, "-.": True, "9" * 16 + ".x": True,
               "\x00": True, "1769943212000.": False, f"1769943212000.{NOBODY}": False, "-1.": False},
    "count": {"": True, "1": True, "yes": True, "True": True, "true": False, "false": False},
}  # fmt: skip


def test_each_parameter_of_a_listing_is_checked_and_all_faults_are_told(call: Caller) -> None:
    table: list[tuple[Request, Expected]] = [
        (Request("GET", f"/tasks?{urlencode({name: value})}"), at(name) if wrong else (200, None))
        for name, values in LISTED.items()
        for value, wrong in values.items()
    ]
    table += [
        (Request("GET", f"/tasks?{name}={{}}&{name}=".format(next(iter(values)))), at(name))
        for name, values in LISTED.items()
    ]
    table += [
        (Request("GET", "/tasks?limit=5&limit=5"), at("limit")),
        (Request("GET", "/tasks?status"), at("status")),
        (Request("GET", "/tasks?type=%ff"), at("type")),
        (Request("GET", "/tasks?type=%ED%A0%80"), at("type")),
        (Request("GET", "/tasks?type=a,b"), at("type")),
        (Request("GET", "/tasks?Limit=x&unknown=&=5&&%00=1"), (200, None)),
        (Request("GET", "/tasks?limit=x&order=y&type=a+b&cursor=z"), at("limit", "cursor", "order", "type")),
        (Request("GET", f"/tasks/{NOBODY}?wait=1"), (404, "task_not_found")),
        (Request("GET", f"/tasks/{NOBODY}?wait=x"), at("wait")),
        (Request("POST", "/tasks?wait=31", JSON, ECHO), at("wait")),
        (Request("POST", "/tasks?wait=1&wait=1", JSON, ECHO), at("wait")),
        (Request("POST", "/tasks/batch?atomic=1", JSON, b'{"tasks": [{"type": "echo"}]}'), at("atomic")),
        (Request("POST", "/tasks/batch?atomic=true&atomic=true", LINES, ECHO), at("atomic")),
    ]

    compare(call, table)


WAITS = {"": True, "-1": True, "30.5": True, "31": True, "1m": True, "1 s": True, "nan": True, "inf": True, "1e1": True,
         "9" * 5000: True, "٣": True, "true": True, "5s\n": True, "0": False, "0.0": False, "0s": False, "1ms": False,
         "0.001": False}  # fmt: skip
ATTEMPTS = {"": True, "0": True, "-1": True, "1.0": True, "x": True, "9" * 19: True, "9" * 5000: True, "٣": True, "1": False,
            "007": False, "9" * 18: False}  # fmt: skip


def test_the_parameters_of_one_task_are_checked(call: Caller, queue: Queue) -> None:
    path = f"/tasks/{enqueued(queue)}"
    table: list[tuple[Request, Expected]] = [
        (Request("GET", f"{path}{below}?{urlencode({name: value})}"), at(name) if wrong else (200, None))
        for below, name, values in (("", "wait", WAITS), ("/logs", "attempt", ATTEMPTS))
        for value, wrong in values.items()
    ]

    compare(call, table)


HEADERS: list[tuple[dict[str, str], Expected]] = [
    ({"Idempotency-Key": ""}, (422, "invalid_header", ["Idempotency-Key"])),
    ({"Idempotency-Key": "k" * 129}, (422, "invalid_header", ["Idempotency-Key"])),
    ({"Idempotency-Key": "\xe4"}, (422, "invalid_header", ["Idempotency-Key"])),
    ({"Idempotency-Key": "a\tb"}, (422, "invalid_header", ["Idempotency-Key"])),
    ({"Idempotency-Key": "k" * 128}, (201, None)),
    ({"Prefer": "wait=x"}, (201, None)),
    ({"Prefer": "wait=-1, , ;;=,return=minimal"}, (201, None)),
    ({"Prefer": "\xff" * 500}, (201, None)),
    ({"Accept": "image/png"}, (201, None)),
    ({"Accept": "application/json;q=0"}, (201, None)),
    ({"Accept": ";;,,/"}, (201, None)),
    ({"Accept": ""}, (201, None)),
    ({"X-Request-ID": "\xff \x01".replace("\x01", "")}, (201, None)),
    ({"X-Request-ID": "a" * 5000}, (201, None)),
    ({"If-None-Match": '"x"'}, (201, None)),
    ({"Authorization": "\xff"}, (201, None)),
    ({"Cookie": "\xff;=;"}, (201, None)),
    ({"Range": "bytes=0-1"}, (201, None)),
    ({"Origin": "http://elsewhere"}, (403, "cross_site", [])),
    ({"Origin": "null"}, (403, "cross_site", [])),
    ({"Sec-Fetch-Site": "cross-site"}, (403, "cross_site", [])),
    ({"Sec-Fetch-Site": "\xff"}, (403, "cross_site", [])),
]


def test_headers_are_read_where_they_count_and_harmless_where_not(call: Caller) -> None:
    table = [(Request("POST", "/tasks", {**JSON, **headers}, ECHO), expected) for headers, expected in HEADERS]

    compare(call, table)


CONDITIONS = {
    "*": 304, "{tag}": 304, "W/{tag}": 304, '"x", {tag}': 304, '"x",{tag}': 304, " {tag} ": 304, "": 200,
    '"x"': 200, "{bare}": 200, '"': 200, "W/": 200, "\xff": 200, '"' + "x" * 5000 + '"': 200, ",,,": 200,
}  # fmt: skip


def test_a_condition_that_cannot_be_read_is_none(call: Caller, queue: Queue) -> None:
    path = f"/tasks/{enqueued(queue)}"
    tag = call(Request("GET", path)).headers["etag"]
    table = [
        (Request("GET", path, {"If-None-Match": text.format(tag=tag, bare=tag.strip('"'))}), (status, None))
        for text, status in CONDITIONS.items()
    ]
    ignored = ({"If-Modified-Since": "x"}, {"If-Match": '"x"'}, {"If-Unmodified-Since": "x"}, {"If-Range": "x"})
    table += [(Request("GET", path, headers), (200, None)) for headers in ignored]

    compare(call, table)


def test_a_get_with_a_body_is_a_get(call: Caller, queue: Queue) -> None:
    path = f"/tasks/{enqueued(queue)}"

    for each in ("/tasks", path, "/queues", "/health", "/metrics", "/openapi.json"):
        assert call(Request("GET", each, JSON, b'{"limit": "x"')).status == 200, each
    assert call(Request("DELETE", path, JSON, b"{")).status == 204


def test_an_error_is_a_problem_for_those_who_ask_for_one(call: Caller) -> None:
    def kind(accept: str) -> str:
        return call(Request("GET", f"/tasks/{NOBODY}", {"Accept": accept})).headers["content-type"]

    problem = "application/problem+json"
    for accept in (problem, f"text/html, {problem};q=0.1", f" {problem.upper()} ; charset=x", f"application/json,{problem}"):
        assert kind(accept) == problem, accept
    for accept in ("*/*", "application/json", "application/*", f"{problem};q=0", f"{problem}; q=0.0", "text/html", ""):
        assert kind(accept) == "application/json", accept
