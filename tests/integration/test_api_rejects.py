"""Bodies that must never reach Redis, and those at the edge that must."""

from __future__ import annotations

import json
from typing import Any

import pytest
from falcon.testing import TestClient

from taskq.queue.inspect import Inspector

JSON = {"Content-Type": "application/json"}


def payload(text: bytes) -> bytes:
    return b'{"type": "echo", "payload": ' + text + b"}"


INVALID = {
    "empty": b"",
    "spaces": b"  \n",
    "no json": b"hello",
    "half an object": b'{"type": "echo"',
    "two objects": b'{"type": "echo"}{"type": "echo"}',
    "an array": b'[{"type": "echo"}]',
    "a string": b'"echo"',
    "null": b"null",
    "a number as type": b'{"type": 5}',
    "a list as type": b'{"type": ["echo"]}',
    "a byte order mark": b"\xef\xbb\xbf" + payload(b"1"),
    "utf-16": '{"type": "echo"}'.encode("utf-16"),
    "a byte that is no utf-8": payload(b'"\xff"'),
    "an encoded surrogate": payload(b'"\xed\xa0\x80"'),
    "half of a pair": payload(b'"\\ud800"'),
    "half of a pair in a key": payload(b'{"\\udc00": 1}'),
    "half of a pair in an unknown member": b'{"type": "echo", "x": "\\ud800"}',
    "NaN": payload(b"NaN"),
    "Infinity": payload(b"-Infinity"),
    "1e400": payload(b"1e400"),
    "1e400 in another member": b'{"type": "echo", "priority": 1e400}',
    "5,000 digits": payload(b"1" * 5000),
    "5,000 digits as type": b'{"type": ' + b"1" * 5000 + b"}",
    "duplicate keys": b'{"type": "echo", "type": "sum"}',
    "duplicate keys below": payload(b'{"a": {"b": 1, "b": 2}}'),
    "2,000 arrays deep": payload(b"[" * 2000 + b"]" * 2000),
    "2,000 objects deep": payload(b'{"a":' * 2000 + b"1" + b"}" * 2000),
    "129 levels": payload(b"[" * 128 + b"]" * 128),
    "a raw line end in a string": payload(b'"a\nb"'),
}


@pytest.mark.parametrize("body", INVALID.values(), ids=INVALID.keys())
def test_a_body_that_is_no_task_is_an_invalid_request_body(api: TestClient, inspector: Inspector, body: bytes) -> None:
    answer = api.simulate_post("/tasks", body=body, headers=JSON)

    assert answer.status_code == 400
    assert (answer.json["error"], answer.json["code"]) == ("invalid request body", "invalid_body")
    assert answer.json["errors"][0]["detail"]
    assert_nothing_stored(inspector)


@pytest.mark.parametrize("body", [{}, {"payload": "x"}, {"type": None}, {"type": ""}, {"type": "", "queue": "a b"}])
def test_a_body_without_type_is_told_so(api: TestClient, inspector: Inspector, body: dict[str, Any]) -> None:
    answer = api.simulate_post("/tasks", json=body)

    assert (answer.status_code, answer.json["error"]) == (400, "type is required")
    assert_nothing_stored(inspector)


def test_wrong_members_are_all_named(api: TestClient, inspector: Inspector) -> None:
    answer = api.simulate_post("/tasks", json={"type": "a b", "priority": "urgent", "max_retry": -1, "tags": ["", "ok"]})

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/type", "/priority", "/max_retry", "/tags/0"]
    assert answer.json["error"].startswith("invalid type: expected 1 to 128 of letters, digits and _ . -, got 'a b'")
    assert_nothing_stored(inspector)


def test_delay_and_run_at_together_are_refused(api: TestClient, inspector: Inspector) -> None:
    answer = api.simulate_post("/tasks", json={"type": "echo", "delay": 1, "run_at": "2200-01-01T00:00:00Z"})

    assert (answer.status_code, answer.json["error"]) == (422, "invalid run_at: expected either delay or run_at, got both")
    assert_nothing_stored(inspector)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Mode": "navigate"},
        {"Content-Type": "application/json; charset=utf-16"},
        {**JSON, "Content-Encoding": "gzip"},
    ],
)
def test_another_kind_of_body_is_not_supported(api: TestClient, inspector: Inspector, headers: dict[str, str]) -> None:
    answer = api.simulate_post("/tasks", body=payload(b"1"), headers=headers)

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_media_type")
    assert answer.json["error"].startswith("expected ")
    assert_nothing_stored(inspector)


def test_a_body_over_the_limit_is_too_large(api: TestClient, inspector: Inspector) -> None:
    answer = api.simulate_post("/tasks", body=payload(b'"' + b"x" * 10_000_000 + b'"'), headers=JSON)

    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")
    assert answer.json["error"] == "request body too large"
    assert_nothing_stored(inspector)


ACCEPTED = {
    "NUL": b'"a\\u0000b"',
    "127 levels": b"[" * 127 + b"]" * 127,
    "4,300 digits": b"1" * 4300,
    "a pair of surrogates": b'"\\ud83d\\ude00"',
    "the same key on two levels": b'{"a": {"a": 1}}',
    "the largest number": b"1.7976931348623157e308",
    "a number too small": b"1e-400",
    "a key that is empty": b'{"": 1}',
    "many values": b"[" + b"[]," * 50_000 + b"[]]",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_every_reader_can_read_is_stored_and_shown(api: TestClient, inspector: Inspector, text: bytes) -> None:
    answer = api.simulate_post("/tasks", body=payload(text), headers=JSON)

    assert answer.status_code == 201
    stored = inspector.get(answer.json["id"])
    assert stored is not None
    assert json.loads(stored.payload or b"") == json.loads(text)
    assert json.loads(api.simulate_get(f"/tasks/{stored.id}").content)["payload"] == json.loads(text)


def assert_nothing_stored(inspector: Inspector) -> None:
    assert inspector.page(limit=1).tasks == []
