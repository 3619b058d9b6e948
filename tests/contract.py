"""Holds answers against the OpenAPI document: a code, header, body or code word that it does not have fails the test."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from falcon.testing import Result, TestClient

PROBLEM = "application/problem+json"
ANYWHERE = {
    "content-type",
    "content-length",
    "date",
    "connection",
    "vary",
    "x-content-type-options",
    "cache-control",
    "content-security-policy",
    "cross-origin-resource-policy",
    "referrer-policy",
    "x-frame-options",
}
"""Headers that are not worth a word for each operation."""

UNDESCRIBED = {404: "not_found", 405: "method_not_allowed"}
"""What is answered where the document has nothing."""


Pair = tuple[str, str, int, str | None]
"""A method, a path of the document, a code, and a code word where it is an error."""


class Contract:
    """The promises of one document."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        # What stands in a path beats a parameter, as it does in the router.
        paths: list[str] = sorted(document["paths"], key=lambda path: path.count("{"))
        self._patterns = [(path, re.compile(re.sub(r"\\\{[^/]*\\\}", "[^/]*", re.escape(path)))) for path in paths]
        self._validator = functools.cache(self._make_validator)
        self.seen: set[Pair] = set()

    def check(self, method: str, path: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Fails with what is wrong with an answer; header names in lower case. What is right is kept in `seen`."""
        what = f"{method} {path} -> {status}"
        operation = self.operation("GET" if method == "HEAD" else method, path)
        if method == "OPTIONS":
            assert (status, content) == (200, b""), what
            return
        if operation is None:
            self._check_body(what, {"$ref": "#/components/schemas/Problem"}, content, method)
            assert method == "HEAD" or json.loads(content)["code"] == UNDESCRIBED[status], what
            return
        assert str(status) in operation["responses"], f"{what} is not described"
        response = operation["responses"][str(status)]
        self._check_headers(what, response["headers"], headers)
        if "content" not in response:
            assert content == b"", what
            self._note(method, path, status, content)
            return
        media = headers["content-type"].partition(";")[0]
        assert media in response["content"], f"{what}: {media} is not described"
        described = response["content"][media]
        if media in ("application/json", PROBLEM):
            self._check_body(what, described["schema"], content, method)
            if status >= 400 and method != "HEAD" and PROBLEM in response["content"]:
                assert json.loads(content)["code"] in described["examples"], f"{what}: {content!r}"
        self._note(method, path, status, content)

    def promised(self) -> set[Pair]:
        """Every code and code word of every operation."""
        return {
            (method.upper(), path, int(status), code)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
            for status, response in operation["responses"].items()
            for code in response.get("content", {}).get(PROBLEM, {}).get("examples", {None: {}})
        }

    def _note(self, method: str, path: str, status: int, content: bytes) -> None:
        problem = json.loads(content) if status >= 400 and content else {}
        self.seen.add((method, self.template(path) or "", status, problem.get("code")))

    def operation(self, method: str, path: str) -> dict[str, Any] | None:
        """What the document says of a method of a path."""
        operations = self.document["paths"].get(self.template(path), {})
        operation: dict[str, Any] | None = operations.get(method.lower())
        return operation

    def template(self, path: str) -> str | None:
        """The path of the document that this one is."""
        return next((template for template, pattern in self._patterns if pattern.fullmatch(path)), None)

    def _check_headers(self, what: str, described: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        known = {name.lower(): header for name, header in described.items()}
        assert headers.keys() <= known.keys() | ANYWHERE, f"{what} has undescribed headers: {sorted(headers)}"
        for name, header in known.items():
            while "$ref" in header:
                header = self.document["components"]["headers"][header["$ref"].rpartition("/")[2]]
            assert name in headers or not header["required"], f"{what} has no {name}"
            if name in headers:
                value = int(headers[name]) if header["schema"].get("type") == "integer" else headers[name]
                self._validator(json.dumps(header["schema"])).validate(value)

    def _check_body(self, what: str, schema: Mapping[str, Any], content: bytes, method: str) -> None:
        if method == "HEAD":
            assert content == b"", what
            return
        fault = next(self._validator(json.dumps(schema)).iter_errors(json.loads(content)), None)
        assert fault is None, f"{what}: {fault}"

    def _make_validator(self, schema: str) -> Any:
        whole = {**json.loads(schema), "components": self.document["components"]}
        return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


class ContractClient(TestClient):
    """Calls an application and holds each answer against the document that the application has of itself."""

    def simulate_request(self, *args: Any, **kwargs: Any) -> Result:
        method, path = (*args, *(kwargs[name] for name in ("method", "path") if name in kwargs))[:2]
        answer: Result = super().simulate_request(*args, **kwargs)
        lowered = {name.lower(): value for name, value in answer.headers.items()}
        self.contract.check(method, path.partition("?")[0], answer.status_code, lowered, answer.content)
        return answer

    @functools.cached_property
    def contract(self) -> Contract:
        """The document of the application, and what was seen of it."""
        return Contract(super().simulate_request("GET", "/openapi.json").json)
