"""The short form of `python -m tests.fuzz`: the same every time."""

from __future__ import annotations

from tests.fuzz.run import attack, broken, handled, seen, served

SHORT = ("--generation-deterministic", "--max-examples", "2")


def test_no_request_that_schemathesis_makes_breaks_the_document_or_the_service() -> None:
    with served() as (service, token):
        done = attack(service, token, 1, *SHORT)

        assert done.returncode == 0, done.stdout + done.stderr
        assert broken(service) == []
        assert handled(service) > 1000
        answered = seen(service)
        paths = service.get("/openapi.json").body["paths"]
    operations = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    operations.remove(("GET", "/openapi.json"))  # read before the first request
    assert operations <= {(method, path) for method, path, status, _ in answered if status[0] in "24"}
    accepted = {(method, path) for method, path, status, _ in answered if status[0] == "2"}
    # what names a thing of the service's own is found by walking along the links
    assert len(accepted) > len(operations) * 3 / 4, operations - accepted
    codes = {code for _, _, _, code in answered}
    assert codes >= {
        "invalid_body",
        "invalid_members",
        "invalid_query",
        "unauthorized",
        "method_not_allowed",
        "task_not_found",
    }
