"""The query of a request: read parameter by parameter, and every fault told at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import falcon

from taskq.api.describe import Parameter
from taskq.api.errors import ApiError

T = TypeVar("T")


class Query:
    """The parameters of one request. One that nobody reads is ignored."""

    def __init__(self, req: falcon.Request) -> None:
        self._params = req.params
        self._faults: list[dict[str, str]] = []

    def read(self, parameter: Parameter, reader: Callable[[str], T], default: T) -> T:
        """The value of a parameter as `reader` makes it; `default` if it is absent or at fault."""
        value = self._params.get(parameter.name)
        if value is None:
            return default
        try:
            if isinstance(value, list):
                raise ValueError(f"expected it once, got it {len(value)} times")
            return reader(value)
        except ValueError as error:
            self._faults.append({"parameter": parameter.name, "detail": str(error)})
            return default

    def fault(self, parameter: Parameter, detail: str) -> None:
        """Note what is wrong with a parameter beside others."""
        self._faults.append({"parameter": parameter.name, "detail": detail})

    def check(self) -> None:
        """Raises ApiError if any fault was found; the sentence names the first."""
        if self._faults:
            first = self._faults[0]
            raise ApiError("invalid_query", f"invalid {first['parameter']}: {first['detail']}", errors=self._faults)
