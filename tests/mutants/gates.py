"""Mutations of what keeps strangers out of the API."""

from __future__ import annotations

from tests.mutants.mutation import gate

GATES = [
    gate(
        "token: any is known",
        "tokens",
        "if hmac.compare_digest(entry.digest, digest):",
        "if digest:",
        "unit/test_api_access",
    ),
    gate(
        "token: compared until the first difference",
        "tokens",
        "hmac.compare_digest(entry.digest, digest)",
        "entry.digest == digest",
        "unit/test_tokens",
    ),
    gate("token: not asked for", "api/access", "if found is None:", "if header and found is None:", "unit/test_api_access"),
    gate(
        "token: what begins like an open path is open",
        "api/access",
        "path == each or (each.endswith",
        "path.startswith(each) or (each.endswith",
        "unit/test_api_access",
    ),
    gate("role: not looked at", "api/access", "token.role < needed", "token.role < Role.READ", "unit/test_api_access"),
    gate(
        "role: submitters may change anything",
        "api/access",
        "if (method, route) in SUBMITTERS_MAY else",
        "if route else",
        "unit/test_api_access",
    ),
    gate("origin: not looked at", "api/middleware", "if not own:", "if False:", "unit/test_api_errors"),
    gate(
        "origin: other sites of a domain are the same",
        "api/middleware",
        '{"same-origin", "none"}',
        '{"same-origin", "same-site", "none"}',
        "unit/test_api_errors",
    ),
    gate(
        "origin: looked at where the browser has told the site",
        "api/middleware",
        "site in _OWN_SITES if site is not None else",
        "site in _OWN_SITES or",
        "unit/test_api_errors",
    ),
    gate("host: not looked at", "api/knownhosts", "self._knows(host):", "True:", "unit/test_api_knownhosts"),
    gate(
        "host: known by its end",
        "api/knownhosts",
        "name in names or",
        "name.endswith(hosts or ('localhost',)) or",
        "unit/test_api_knownhosts",
    ),
    gate(
        "host: every name known by default",
        "supervisor/child",
        "(() if service.tokens is None else (ANY,))",
        "(ANY,)",
        "system/test_tokens",
    ),
    gate("host: two of them", "api/framing", 'frozenset({b"host", ', "frozenset({", "integration/test_api_framing"),
    gate(
        "target: of another host",
        "api/framing",
        "absolute[1].lower() != host.lower()",
        "not absolute[1]",
        "integration/test_api_framing",
    ),
    gate(
        "length: beside a coding",
        "api/framing",
        "    if length is not None:\n",
        "    if False:\n",
        "integration/test_api_framing",
    ),
    gate(
        "length: of any form",
        "api/framing",
        "not _LENGTH.fullmatch(length)",
        "not length",
        "integration/test_api_framing",
    ),
    gate(
        "coding: chunked not the last",
        "api/framing",
        'last != b"chunked" or',
        "last == b'' or",
        "integration/test_api_framing",
    ),
    gate("coding: chunked twice", "api/framing", 'if b"chunked" in others:', "if not last:", "integration/test_api_framing"),
    gate(
        "header: folded", "api/framing", 'if line.startswith((b" ", b"\\t")):', "if False:", "integration/test_api_framing"
    ),
    gate(
        "header: ends with a line feed", "api/framing", 'header.count(b"\\n") != ends or', "", "integration/test_api_framing"
    ),
    gate(
        "chunk: longer than it says",
        "api/chunks",
        "if len(self._line) > self._longest:",
        "if False:",
        "integration/test_api_framing",
    ),
    gate(
        "chunk: ends with a line feed", "api/chunks", 'not line.endswith(b"\\r\\n") or', "", "integration/test_api_framing"
    ),
]
