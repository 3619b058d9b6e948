from __future__ import annotations

import falcon
import pytest
from falcon.testing import create_req

from taskq.api.errors import ApiError
from taskq.api.etags import show
from taskq.api.longpoll import Patience, read_patience


def asked(query: str = "", prefer: str | None = None) -> Patience:
    return read_patience(create_req(query_string=query, headers={} if prefer is None else {"Prefer": prefer}))


@pytest.mark.parametrize(
    ("query", "wait_s"),
    [("", 0), ("wait=0", 0), ("wait=2.5", 2.5), ("wait=30s", 30), ("wait=500ms", 0.5), ("wait=30000ms", 30)],
)
def test_the_query_says_how_long_to_wait(query: str, wait_s: float) -> None:
    assert asked(query) == Patience(wait_s)


@pytest.mark.parametrize("value", ["", "-1", "31", "30.1", "30001ms", "1h", "soon", "1e999", "nan", "5s%0A", "%205"])
def test_a_wait_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ApiError, match="invalid wait: expected a duration") as caught:
        asked(f"wait={value}")

    assert (caught.value.code, caught.value.errors[0]["parameter"]) == ("invalid_query", "wait")


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        ("wait=7", 7),
        ("respond-async, WAIT = 7 ; x=1", 7),
        ('wait="7"', 7),
        ("wait=7, wait=9", 7),
        ("wait=99999", 30),
    ],
)
def test_a_preference_says_how_long_to_wait(prefer: str, wait_s: int) -> None:
    assert asked(prefer=prefer) == Patience(wait_s, f"wait={wait_s}")


@pytest.mark.parametrize(
    "prefer", ["", "wait", "wait=", "wait=-1", "wait=1.5", "wait=x", "wait=²", "wait=9999999999", "await=3"]
)
def test_a_preference_that_cannot_be_read_is_ignored(prefer: str) -> None:
    assert asked(prefer=prefer) == Patience()


def test_the_query_comes_before_a_preference() -> None:
    assert asked("wait=2", "wait=9") == Patience(2)


def shown(known: str | None, body: bytes = b"{}") -> falcon.Response:
    resp = falcon.Response()
    show(create_req(headers={} if known is None else {"If-None-Match": known}), resp, body)
    return resp


def test_an_answer_bears_a_strong_tag_of_its_bytes() -> None:
    first, same, other = shown(None), shown(None), shown(None, b"[]")

    assert (first.status_code, first.data) == (200, b"{}")
    assert first.get_header("ETag") == same.get_header("ETag") != other.get_header("ETag")
    assert (first.get_header("ETag") or "").startswith('"')


@pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', '"x",W/{} , "y"', " * "])
def test_a_known_tag_is_answered_without_the_body(form: str) -> None:
    tag = shown(None).get_header("ETag")

    answer = shown(form.format(tag))

    assert (answer.status_code, answer.data, answer.get_header("ETag")) == (304, None, tag)


@pytest.mark.parametrize("known", ["", '"x"', "x", '"', '""', "W/", "{}"])
def test_any_other_tag_gets_the_body(known: str) -> None:
    assert shown(known).status_code == 200
