"""What a request may know of its connection, and ask of it: functions that the server puts into the environ. Where there is
no server, as in tests, nobody is in a hurry and nothing is ended."""

from __future__ import annotations

from collections.abc import Callable

import falcon

HURRY = "taskq.hurry"
"""Where the server's environ has a function that tells whether an answer is wanted at once: the client has hung up, or the
server is about to end."""

PART = "taskq.part"
"""Where the server's environ has a function that has the connection closed after the answer."""


def hurry_of(req: falcon.Request) -> Callable[[], bool]:
    """Tells, whenever it is called, whether an answer is wanted at once."""
    found: Callable[[], bool] = req.env.get(HURRY, lambda: False)
    return found


def part(req: falcon.Request) -> None:
    """Have the connection closed after the answer."""
    req.env.get(PART, lambda: None)()
