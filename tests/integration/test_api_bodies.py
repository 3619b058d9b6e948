"""What is answered to whatever a client can send as a body, on every path that takes one: exact status and code word."""

from __future__ import annotations

import json

import pytest

from taskq.queue.inspect import Inspector
from taskq.queue.queue import Queue
from taskq.queue.schedules import Schedules
from tests.integration.calls import ECHO, JSON, LINES, Caller, Expected, Request, compare
from tests.integration.conftest import Address
from tests.integration.steps import DETAIL, claim, enqueued, joined, schedule


@pytest.fixture
def call(api_address: Address) -> Caller:
    return Caller(api_address)


NO_JSON = {
    "spaces": b"  ",
    "a byte order mark": b"\xef\xbb\xbf" + ECHO,
    "utf-16": '{"type": "echo"}'.encode("utf-16"),
    "a wrong byte": b'{"type": "echo", "x": "\xff"}',
    "half a pair": b'{"type": "echo", "reason": "\\ud800"}',
    "half a pair as key": b'{"type": "echo", "\\udfff": 1}',
    "half an object": b'{"type": "echo"',
    "two values": ECHO + ECHO,
    "a comment": b'{"type": "echo"} // x',
    "single quotes": b"{'type': 'echo'}",
    "an array": b"[]",
    "null": b"null",
    "a string": b'"echo"',
    "a number": b"1",
    "duplicate keys": b'{"type": "echo", "x": 1, "x": 1}',
    "duplicate keys, escaped": b'{"type": "echo", "x": 1, "\\u0078": 1}',
    "NaN": b'{"type": "echo", "x": NaN}',
    "Infinity": b'{"type": "echo", "x": -Infinity}',
    "1e400": b'{"type": "echo", "x": 1e400}',
    "too many digits": b'{"type": "echo", "x": ' + b"9" * 4301 + b"}",
    "too deep": b'{"type": "echo", "x": ' + b"[" * 128 + b"]" * 128 + b"}",
    "far too deep": b'{"type": "echo", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a raw NUL": b'{"type": "echo", "x": "\x00"}',
    "an octal": b'{"type": "echo", "x": 01}',
    "a form": b"type=echo",
}
UNSUPPORTED = [
    {"Content-Type": "text/plain"},
    {"Content-Type": "text/json"},
    {"Content-Type": "application/xml"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json; charset=latin-1"},
    {"Content-Type": "json"},
    {"Content-Type": ";"},
    {"Content-Type": "application/json, application/json"},
    {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"},
    {**JSON, "Content-Encoding": "gzip"},
    {**JSON, "Content-Encoding": "identity, gzip"},
    {**JSON, "Content-Encoding": "x"},
]
SUPPORTED: list[dict[str, str]] = [
    {},
    {"Content-Type": ""},
    {"Content-Type": "APPLICATION/JSON"},
    {"Content-Type": "application/json;charset=UTF-8"},
    {"Content-Type": 'application/json; charset="utf-8"'},
    {"Content-Type": "application/json; version=1"},
    {"Content-Type": "application/merge-patch+json"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {**JSON, "Content-Encoding": "identity"},
    {**JSON, "Content-Encoding": "IDENTITY"},
]


@pytest.fixture
def takers(queue: Queue) -> dict[str, bytes]:
    """Every path that takes a body, and one that it accepts."""
    worker = joined(queue)
    failed = enqueued(queue)
    queue.fail(worker, claim(queue, worker), "boom", DETAIL)
    pending = enqueued(queue)
    return {
        "/tasks": ECHO,
        "/tasks/batch": b'{"tasks": [{"type": "echo"}]}',
        "/tasks/actions": b'{"action": "cancel", "filter": {"type": "none"}, "dry_run": true}',
        f"/tasks/{pending}/cancel": b"{}",
        f"/tasks/{failed}/requeue": b"{}",
        "/queues/default/pause": b"{}",
        "/schedules/nightly/pause": b"{}",
    }


@pytest.fixture(autouse=True)
def nightly(queue: Queue, inspector: Inspector) -> None:
    Schedules(inspector).publish([schedule("nightly")], forget=False)


def test_every_path_that_takes_a_body_is_one_of_these(call: Caller, takers: dict[str, bytes]) -> None:
    documented = {
        template
        for template, operations in call.contract.document["paths"].items()
        if "requestBody" in operations.get("post", {})
    }

    assert {call.contract.template(path) for path in takers} == documented


def test_a_body_that_is_no_json_object_is_refused_everywhere(call: Caller, takers: dict[str, bytes]) -> None:
    table: list[tuple[Request, Expected]] = [
        (Request("POST", path, JSON, body), (400, "invalid_body", [""])) for path in takers for body in NO_JSON.values()
    ]
    required = [path for path in takers if path.startswith("/tasks") and path.count("/") < 3]
    table += [(Request("POST", path, JSON, b""), (400, "invalid_body", [""])) for path in required]
    table += [(Request("POST", path), (400, "invalid_body", [""])) for path in required]
    table += [
        (Request("POST", path, JSON, b" " * ((1 << 20) + 1)), (413, "body_too_large", [""]))
        for path in takers
        if "batch" not in path
    ]
    table += [(Request("POST", "/tasks/batch", JSON, b" " * ((1 << 24) + 1)), (413, "body_too_large", [""]))]  # fmt: skip

    compare(call, table)


def test_a_body_of_another_kind_is_refused_everywhere(call: Caller, takers: dict[str, bytes]) -> None:
    refused: Expected = (415, "unsupported_media_type", [])
    table = [(Request("POST", path, headers, body), refused) for path, body in takers.items() for headers in UNSUPPORTED]
    table += [(Request("POST", path, LINES, body), refused) for path, body in takers.items() if "batch" not in path]
    table.append((Request("POST", "/tasks/batch", {"Content-Type": "application/x-ndjson; charset=utf-16"}, ECHO), refused))

    compare(call, table)


def test_a_body_of_the_right_kind_is_taken_however_that_is_said(call: Caller) -> None:
    compare(call, [(Request("POST", "/tasks", headers, ECHO), (201, None)) for headers in SUPPORTED])


def test_bodies_that_need_not_be_there_may_be_left_out(call: Caller, takers: dict[str, bytes]) -> None:
    optional = [path for path in takers if path.count("/") == 3]

    for path in optional:
        assert call(Request("POST", path)).status in (200, 202), path
        assert call(Request("POST", path, {"Content-Type": "text/plain"}, b"")).status in (200, 202, 409), path


TYPES: dict[str, Expected] = {
    **dict.fromkeys(("null", '""'), (400, "type_required", ["/type"])),
    **dict.fromkeys(("5", "[]", "true", "{}"), (400, "invalid_body", ["/type"])),
    **dict.fromkeys(('"a b"', '"a\\u0000"', '"\\u00e4"', f'"{"a" * 129}"'), (422, "invalid_members", ["/type"])),
    **dict.fromkeys((f'"{"a" * 128}"', '"._-"'), (201, None)),
}
WRONG: dict[str, list[str]] = {
    "queue": ['""', '"a b"', "5", "true", "[]", "{}", '"a/b"', '"\\u0000"', f'"{"a" * 129}"', '"a\\n"'],
    "priority": ['""', '"urgent"', '"HIGH"', "1", "true", "[]", '["high"]'],
    "max_retry": ["-1", "1001", "1.5", "1e30", "9223372036854775808", "18446744073709551616", '"3"', "true", "[]", '""'],
    "delay": ["-1", "-0.1", "3153600001", "1e300", '""', '"soon"', '"-5m"', '"5 m"', '"5M"', '"1m1h"', '"1e3"', "true", "[]",
              '"9999999999"', '"10000d"', '"\\u0663"', '"NaN"', '"5m\\n"', f'"{"9" * 5000}"'],
    "timeout": ["0", '"0s"', '"0.0"', "-1", "true", "[]", '""', '"x"'],
    "expires_in": ["0", '"0ms"', "-1", "true", "[]", '""', '"x"'],
    "run_at": ['""', '"tomorrow"', "5", "true", "[]", '"2026-02-30T00:00:00Z"', '"2026-02-01T00:00:00"',
               '"9999-12-31T23:59:59-01:00"', '"0001-01-01T00:00:00+01:00"', '"2026-02-01T24:00:00Z"'],
    "unique_key": ['""', '"a b"', "5", "true", "[]", f'"{"a" * 129}"', '"\\u0000"'],
    "tags": ['"a"', "{}", "5", "true", json.dumps(["a"] * 33)],
}  # fmt: skip
RIGHT: dict[str, list[str]] = {
    "queue": ['"default"', "null"],
    "priority": ['"high"', '"normal"', '"low"', "null"],
    "max_retry": ["0", "1000", "3.0", "null"],
    "delay": ["0", "0.001", "1e-300", "3153600000", '"5m"', '"1h30m"', '"500ms"', '"0"', '"9999d"', "null"],
    "timeout": ["0.001", '"1ms"', "1e-9", "null"],
    "expires_in": ['"1s"', "null"],
    "run_at": ['"2026-02-01T10:53:32Z"', '"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59.999Z"',
               '"2026-02-01T12:53:32+02:00"', "null"],
    "unique_key": ["null"],
    "tags": ["[]", '["a", "a"]', "null"],
    "payload": ["null", "5", '"\\u0000"', "[]", "1" + "0" * 4299, "1.7976931348623157e308",
                '"\\ud83d\\ude00"', "18446744073709551616"],
    "unknown": ["null", "{}", '"\\u0000"'],
}  # fmt: skip


def test_each_member_of_a_task_is_checked(call: Caller) -> None:
    table: list[tuple[Request, Expected]] = []
    for value, expected in TYPES.items():
        table.append((Request("POST", "/tasks", JSON, f'{{"type": {value}}}'.encode()), expected))
    for member, values in WRONG.items():
        refused: Expected = (422, "invalid_members", [f"/{member}"])
        table += [(Request("POST", "/tasks", JSON, task(**{member: value})), refused) for value in values]
    for member, values in RIGHT.items():
        table += [(Request("POST", "/tasks", JSON, task(**{member: value})), (201, None)) for value in values]
    for wrong in ('"a b"', "5", "null", "[]", '""', f'"{"a" * 129}"'):
        refused = (422, "invalid_members", ["/tags/1"])
        table.append((Request("POST", "/tasks", JSON, task(tags=f'["a", {wrong}]')), refused))

    compare(call, table)


def task(**members: str) -> bytes:
    """A new task with these members, as JSON texts."""
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in {"type": '"echo"', **members}.items()) + "}").encode()


def test_all_faults_of_a_body_are_told_together(call: Caller) -> None:
    wrong = {name: values[0] for name, values in WRONG.items()}
    members = [f"/{name}" for name in ("queue", "priority", "max_retry", "delay", "run_at", "timeout", "expires_in")]
    members += ["/unique_key", "/tags", "/run_at"]  # the last one because there is a delay as well
    batch = b'{"tasks": [' + task(**wrong) + b', 5, {"type": ""}], "atomic": true}'
    action = {"action": "x", "ids": [], "filter": {"status": "x", "tag": "", "no/such~": 1}, "reason": 5, "dry_run": 0}
    pointers = ["/action", "/reason", "/ids", "", "/filter/status", "/filter/tag", "/filter/no~1such~0", "/dry_run"]
    table: list[tuple[Request, Expected]] = [
        (Request("POST", "/tasks", JSON, task(**wrong)), (422, "invalid_members", members)),
        (Request("POST", "/tasks/actions", JSON, json.dumps(action).encode()), (422, "invalid_members", pointers)),
        (
            Request("POST", "/tasks/batch", JSON, b'{"tasks": 5, "atomic": 5}'),
            (422, "invalid_members", ["/atomic", "/tasks"]),
        ),
        (Request("POST", "/tasks/batch", JSON, b'{"tasks": []}'), (422, "invalid_members", ["/tasks"])),
        (Request("POST", "/tasks/batch", LINES, b"\n \n"), (422, "invalid_members", ["/tasks"])),
        (
            Request("POST", "/tasks/batch", JSON, batch),
            (422, "batch_refused", [*(f"/tasks/0{each}" for each in members), "/tasks/1", "/tasks/2/type"]),
        ),
    ]

    compare(call, table)
