from __future__ import annotations

from typing import Any

import pytest

from tests.fuzz.hooks import untellable


def problem(code: str, *pointers: str | None) -> dict[str, Any]:
    return {"code": code, "errors": [{} if pointer is None else {"pointer": pointer} for pointer in pointers]}


@pytest.mark.parametrize(
    ("given", "excused"),
    [
        (problem("unknown_type", "/type"), True),
        (problem("idempotency_key_reused"), True),
        (problem("invalid_members", "/payload/width"), True),
        (problem("invalid_members", "/payload/width", "/expires_in"), True),
        (problem("invalid_members", "/payload", "/tags/0"), False),
        (problem("invalid_members", "/delay"), False),
        (problem("invalid_members", "/payloads"), False),
        (problem("invalid_members", ""), False),
        (problem("invalid_members"), False),
        (problem("invalid_query", None), False),
        ({"code": "invalid_query", "errors": [{"parameter": "from"}, {"parameter": "to"}]}, True),
        ({"code": "invalid_query", "errors": [{"parameter": "from"}, {"parameter": "queue"}]}, False),
        ({"code": "invalid_query"}, False),
        (problem("invalid_body", ""), False),
        ({}, False),
    ],
)
def test_only_what_no_document_can_tell_excuses_the_refusal_of_a_request_that_fits_it(given: Any, excused: bool) -> None:
    assert untellable(given) is excused
