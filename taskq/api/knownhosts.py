"""Which hosts a request may ask for.

A page of another site can make its own name lead to this service's address (DNS rebinding): for the browser the service is
then part of that site, so the same-origin rule lets everything pass. The page cannot change the name, though, and the
browser sends it as `Host`. A token protects, too, because no browser sends one by itself.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from functools import lru_cache

import falcon

from taskq.api.context import ApiContext
from taskq.api.errors import ApiError

ANY = "*"
"""In the place of a name: every name."""

_PORT = re.compile(r":\d*\Z")
_OWN_ZONES = (".localhost", ".internal")
"""Names that nobody can register: RFC 6761, section 6.3, and ICANN's reservation for private use."""

Predicate = Callable[[str], bool]


class KnownHosts:
    """Refuses a request for a host that this service is not known as, whatever else it asks for."""

    def __init__(self, context: ApiContext) -> None:
        knows = known_names(context.settings.hosts, (context.settings.own_name, socket.gethostname()))
        # almost every request bears the same header as the one before
        self._knows = lru_cache(maxsize=64)(lambda host: knows(name_of(host)))

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        host = req.get_header("Host")
        if host is None or self._knows(host):  # without one it is HTTP/1.0, which no browser speaks
            return
        raise ApiError("misdirected", "this service is not known by the name in Host; api.hosts lists further ones")


def name_of(host: str) -> str:
    """The name or address in a Host header, without port, brackets, capitals and a final point."""
    return _PORT.sub("", host).strip("[]").removesuffix(".").lower()


def known_names(hosts: tuple[str, ...], own: tuple[str, ...]) -> Predicate:
    """Tells whether a name is one of this service. Addresses and loopback names always are: neither is ever looked up for a
    page of another site. With no `hosts` so is what such a page cannot be called: a name without a point, as those of
    containers, and the `own` names of this machine."""
    if ANY in hosts:
        return lambda _: True
    names = frozenset(hosts)
    own_names = frozenset(name.lower() + end for name in own for end in ("", ".local"))

    def knows(name: str) -> bool:
        if name == "localhost" or name in names or _is_address(name):
            return True
        return not names and ("." not in name or name in own_names or name.endswith(_OWN_ZONES))

    return knows


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
