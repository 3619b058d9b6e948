from __future__ import annotations

import json
import sys
from typing import Any

import falcon
import pytest
from falcon.testing import create_req
from hypothesis import given
from hypothesis import strategies as st

from taskq.api.body import MAX_DEPTH, MAX_DIGITS, decode, encode, read_object, read_optional_object
from taskq.api.errors import ApiError

LIMIT = 1000

REFUSED = [
    (b"", "expected JSON, got nothing"),
    (b" \n\t", "expected JSON, got nothing"),
    (b"\xef\xbb\xbf{}", "expected JSON without a byte order mark"),
    (b'{"a":"\xff"}', "expected UTF-8, got a wrong byte at position 6"),
    (b'{"a":"\xed\xa0\x80"}', "expected UTF-8, got a wrong byte at position 6"),
    ('{"a":1}'.encode("utf-16"), "expected UTF-8, got a wrong byte at position 0"),
    (b'{"a":NaN}', "expected a number, got NaN"),
    (b'{"a":Infinity}', "expected a number, got Infinity"),
    (b'{"a":-Infinity}', "expected a number, got -Infinity"),
    (b'{"a":1e400}', "expected a number that fits into 64 bits, got 1e400"),
    (b'{"a":-1e400}', "expected a number that fits into 64 bits, got -1e400"),
    (b'{"a":"\\ud800"}', "expected text, got half of a surrogate pair in a \\u escape"),
    (b'{"a":["\\uDFFFx"]}', "expected text, got half of a surrogate pair in a \\u escape"),
    (b'{"\\ud800":1}', "expected text, got half of a surrogate pair in a \\u escape"),
    (b'{"a":1,"b":2,"a":3}', "expected each key once in an object, got 'a' twice"),
    (b'{"x":{"a":1,"\\u0061":3}}', "expected each key once in an object, got 'a' twice"),
    (b"1" * 5000, "expected a number of at most 4300 digits, got one of 5000"),
    (b"[" * 2000 + b"]" * 2000, "expected at most 128 levels of nesting"),
    (b'{"a":' * 2000 + b"1" + b"}" * 2000, "expected at most 128 levels of nesting"),
    (b"[" * 100_000, "expected at most 128 levels of nesting"),
    (b"{", "Expecting property name enclosed in double quotes at line 1 column 2"),
    (b'{"a":1}\n x', "Extra data at line 2 column 2"),
    (b"{'a':1}", "Expecting property name enclosed in double quotes at line 1 column 2"),
    (b'{"a":01}', "Expecting ',' delimiter at line 1 column 7"),
    (b'"a\nb"', "Invalid control character at line 1 column 3"),
    (b'"abc', "Unterminated string starting at line 1 column 1"),
]


@pytest.mark.parametrize(("raw", "detail"), REFUSED)
def test_what_not_every_reader_can_read_is_refused_with_the_reason(raw: bytes, detail: str) -> None:
    with pytest.raises(ValueError) as refused:
        decode(raw)

    assert str(refused.value) == detail


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a":"x\\u0000y"}', {"a": "x\0y"}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\\\ud800"', "\\ud800"),
        (b" [1, 2.5, -0, 1e5] ", [1, 2.5, 0, 1e5]),
        (b"1" * MAX_DIGITS, int("1" * MAX_DIGITS)),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b"1e-400", 0.0),
        (b"null", None),
    ],
)
def test_anything_else_is_read_as_it_stands(raw: bytes, value: object) -> None:
    assert decode(raw) == value


def test_nesting_is_read_up_to_the_limit() -> None:
    raw = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH

    assert encode(decode(raw)) == raw
    with pytest.raises(ValueError, match="levels of nesting"):
        decode(b"[" + raw + b"]")


@pytest.mark.parametrize("recursion_limit", [400, 100_000])
def test_the_limit_of_nesting_does_not_depend_on_the_interpreters_stack(recursion_limit: int) -> None:
    usual = sys.getrecursionlimit()

    sys.setrecursionlimit(recursion_limit)
    try:
        with pytest.raises(ValueError, match="expected at most 128 levels of nesting"):
            decode(b"[" * 2000 + b"]" * 2000)
        assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    finally:
        sys.setrecursionlimit(usual)


def test_brackets_inside_of_strings_and_side_by_side_are_not_nesting() -> None:
    value = ['\\"[{' * 500, *([[{}]] * 500)]

    assert decode(json.dumps(value).encode()) == value


def test_a_string_that_never_ends_is_refused_in_linear_time() -> None:
    raw = b"[" * 200 + b'"' + b'\\"[' * 300_000

    with pytest.raises(ValueError, match="levels of nesting"):
        decode(raw)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_what_is_read_can_be_written_and_read_again(value: Any) -> None:
    decoded = decode(json.dumps(value).encode())

    # not the text: 1e16 and 1e+16 are the same number
    assert json.dumps(json.loads(encode(decoded))) == json.dumps(value)
    assert decode(encode(decoded)) == decoded


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_can_be_written_and_read_again(raw: bytes) -> None:
    try:
        value = decode(raw)
    except ValueError:
        return
    assert decode(encode(value)) == value


def request(body: bytes, **headers: str) -> falcon.Request:
    return create_req(method="POST", body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json;charset="utf-8"',
        "application/json; profile=x",
        "application/vnd.api+json",
        " ",
    ],
)
def test_a_json_content_type_is_taken(content_type: str) -> None:
    assert read_object(request(b"{}", Content_Type=content_type), LIMIT) == {}


def test_a_body_without_content_type_is_taken() -> None:
    assert read_object(create_req(method="POST", body=b"{}"), LIMIT) == {}


def test_what_curl_calls_a_form_is_taken() -> None:
    assert read_object(request(b"{}", Content_Type="application/x-www-form-urlencoded"), LIMIT) == {}


@pytest.mark.parametrize("header", ["Origin", "Referer", "Sec_Fetch_Site", "Sec_Fetch_Mode", "Sec_Fetch_Dest"])
def test_a_form_of_a_browser_is_not(header: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_object(request(b"{}", Content_Type="application/x-www-form-urlencoded", **{header: "none"}), LIMIT)

    assert refused.value.code == "unsupported_media_type"


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"Content_Type": "text/plain"}, "expected Content-Type: application/json, got 'text/plain'"),
        ({"Content_Type": "text/json+x"}, "expected Content-Type: application/json, got 'text/json+x'"),
        (
            {"Content_Type": "application/x-www-form-urlencoded", "Origin": "http://localhost:8080"},
            "expected Content-Type: application/json, got 'application/x-www-form-urlencoded'",
        ),
        (
            {"Content_Type": "application/json; charset=latin1"},
            "expected charset utf-8 in Content-Type, got 'latin1'",
        ),
        ({"Content_Encoding": "gzip"}, "expected a body without Content-Encoding, got 'gzip'"),
    ],
)
def test_a_body_of_another_kind_is_unsupported(headers: dict[str, str], sentence: str) -> None:
    with pytest.raises(ApiError) as refused:
        read_object(request(b"{}", **headers), LIMIT)

    assert refused.value.code == "unsupported_media_type"
    assert str(refused.value) == sentence


def test_the_identity_coding_is_none_at_all() -> None:
    assert read_object(request(b"{}", Content_Encoding="Identity"), LIMIT) == {}


def test_a_body_of_the_limit_is_read_and_one_byte_more_is_too_large() -> None:
    body = b'{"a":"' + b"x" * (LIMIT - 8) + b'"}'

    assert len(read_object(request(body), LIMIT)["a"]) == LIMIT - 8
    with pytest.raises(ApiError) as refused:
        read_object(request(body + b" "), LIMIT)
    assert refused.value.code == "body_too_large"
    assert refused.value.errors[0]["detail"] == "expected at most 1000 bytes"


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null", b"true"])
def test_json_that_is_no_object_is_an_invalid_body(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        read_object(request(body), LIMIT)

    assert refused.value.code == "invalid_body"
    assert str(refused.value) == "invalid request body"
    assert refused.value.errors == [{"pointer": "", "detail": "expected a JSON object"}]


def test_no_body_is_an_empty_object_only_where_the_body_is_optional() -> None:
    assert read_optional_object(request(b"", Content_Type="text/plain"), LIMIT) == {}
    assert read_optional_object(request(b'{"a":1}'), LIMIT) == {"a": 1}
    with pytest.raises(ApiError, match="invalid request body"):
        read_object(request(b""), LIMIT)


def test_what_is_read_is_written_without_spaces_and_with_the_numbers_it_had() -> None:
    assert encode(decode(b' {"a": [1, 2.5, 1e300, -0.0], "\\u00e9": 10000000000000000000000, "n": null} ')) == (
        b'{"a":[1,2.5,1e300,-0.0],"\xc3\xa9":10000000000000000000000,"n":null}'
    )
