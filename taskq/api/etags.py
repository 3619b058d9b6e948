"""Entity tags: whoever has an answer already is told that nothing has changed (RFC 9110, sections 8.8.3 and 13.1.2)."""

from __future__ import annotations

import hashlib
import re

import falcon

from taskq.api.describe import Header, Parameter

ETAG = Header(name="ETag", description="A digest of this answer.", always=True)
IF_NONE_MATCH = Parameter(
    name="If-None-Match",
    place="header",
    schema={"type": "string"},
    description="The ETag of an earlier answer: 304 if nothing has changed.",
)

_TAG = re.compile(r'(?:W/)?("[^"]*")')


def show(req: falcon.Request, resp: falcon.Response, body: bytes) -> None:
    """Answer a GET with `body` and its tag, or with 304 where the request names that tag.

    The tag is strong, a digest of every byte, because an answer tells things that no version of a record knows, such as how
    many tasks are before it.
    """
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    resp.set_header("ETag", tag)
    known = req.get_header("If-None-Match") or ""
    if known.strip() == "*" or tag in _TAG.findall(known):
        resp.status = falcon.HTTP_304
    else:
        resp.data = body
