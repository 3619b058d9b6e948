"""The URL of a Redis that is found through Sentinel, taken apart. Pure.

    redis+sentinel://[user:password@]host[:port],host[:port]/service[/database][?sentinel_password=...]

User and password are those of the Redis servers; `sentinel_username` and `sentinel_password` those of the sentinels.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

SCHEME = "redis+sentinel"
PORT = 26379

_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?\Z")
_PARAMETERS = {"sentinel_username", "sentinel_password"}


class Watched(NamedTuple):
    """A service that sentinels watch; `login` and `sentinel_login` are user and password, None for none."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    database: int
    login: tuple[str | None, str | None]
    sentinel_login: tuple[str | None, str | None]


def watched(url: str) -> Watched | None:
    """What the URL says; None for any other scheme. Raises ValueError for one that is not well formed."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME:
        return None
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    service, _, database = parts.path.removeprefix("/").partition("/")
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if not service or not re.fullmatch("[0-9]{0,9}", database) or parts.fragment or not query.keys() <= _PARAMETERS:
        raise ValueError("not a URL of sentinels")
    sentinel_login = [query.get(name, [None])[0] for name in ("sentinel_username", "sentinel_password")]
    return Watched(
        sentinels=tuple(map(_address, hosts.split(","))),
        service=unquote(service),
        database=int(database or 0),
        login=(unquote(user) or None, unquote(password) or None),
        sentinel_login=(sentinel_login[0], sentinel_login[1]),
    )


def _address(text: str) -> tuple[str, int]:
    found = _HOST.match(text)
    port = int(found["port"] or PORT) if found else 0
    if not found or not 0 < port < 1 << 16:
        raise ValueError("not an address of sentinels")
    return found["host"].strip("[]"), port
