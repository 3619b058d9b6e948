"""What a decorated handler can do beside being called: submit tasks of its type, with the payload that its parameters take.

The handler stays the function that it was, with `enqueue`, `enqueue_many` and `options` as attributes: it is pickled by
name, inspected and wrapped like any other, and calling it costs nothing more.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from taskq.client.default import default
from taskq.client.options import NAMES, NO_OPTIONS, fields_for_many, fields_of, unknown_option
from taskq.client.payload import Checker, encode_payload, encode_payloads
from taskq.client.receipt import Decode, Receipt, decoder_for
from taskq.registry import Handler

R_co = TypeVar("R_co", covariant=True)


class Sender(Generic[R_co]):
    """Submits tasks of one handler. `preset` are options that hold for every one of them."""

    def __init__(self, handler: Handler, preset: Mapping[str, Any] = NO_OPTIONS) -> None:
        self.handler = handler
        self.preset = preset
        self.type = handler.type
        self._call = _Call(handler)
        self._fields: Mapping[str, Any] = fields_of(preset)

    def enqueue(self, /, *args: Any, **kwargs: Any) -> Receipt[R_co]:
        """Submit one task, with the arguments of the function as payload; it is stored when this returns.

        Arguments that begin with an underscore are options (`_priority`, `_delay`, ...), see `taskq.Queue`. Raises
        InvalidPayload, InvalidOptions, TypeError for arguments that no call could have, and what `taskq.Queue` raises.
        """
        call, fields = self._call, self._fields
        for key in kwargs:
            if key[0] == "_" and key not in call.names:
                kwargs, options = call.split(kwargs, self.preset)
                fields = fields_of(options)
                break
        payload = call.payload(args, kwargs) if args or call.whole else encode_payload(kwargs)
        call.check(payload)
        return default().submit(self.type, payload, fields, call.decode)

    def enqueue_many(self, payloads: Iterable[Any], /, **options: Any) -> list[Receipt[R_co]]:
        """Submit one task for each payload: a mapping of arguments, or the value of the only parameter if that takes the
        payload as a whole. Options are those of `enqueue` and hold for all. See `taskq.Queue.enqueue_many`."""
        given = {**self.preset, **{self._call.option(key): value for key, value in options.items()}}
        texts = encode_payloads(payloads, self._call.check)
        return default().submit_many(self.type, texts, fields_for_many(given), self._call.decode)

    @property
    def decode(self) -> Decode:
        """How results of the handler are read."""
        return self._call.decode

    def options(self, **options: Any) -> Sender[R_co]:
        """The same with these options (without underscores) for everything that it submits. Raises InvalidOptions."""
        return Sender(self.handler, {**self.preset, **options})


class _Call:
    """How the arguments of a call become a payload."""

    def __init__(self, handler: Handler) -> None:
        signature = handler.signature
        parameters = inspect.signature(handler.function).parameters
        self.function = getattr(handler.function, "__qualname__", handler.type)
        self.order = tuple(
            each for each, p in parameters.items() if each not in signature.context and p.kind is not p.VAR_KEYWORD
        )
        self.keyword_only = frozenset(each for each, p in parameters.items() if p.kind is p.KEYWORD_ONLY)
        self.names = frozenset(self.order)
        self.whole = signature.whole
        self.check = Checker(signature).check
        self._function = handler.function

    @functools.cached_property
    def decode(self) -> Decode:
        """How results are read."""
        try:
            hint = typing.get_type_hints(self._function, include_extras=True).get("return", Any)
        except Exception:  # whatever keeps the hints from being read, the results can be
            hint = Any
        return decoder_for(hint)

    def split(self, kwargs: Mapping[str, Any], preset: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The arguments and, without their underscores and over `preset`, the options."""
        options = dict(preset)
        arguments = {}
        for key, value in kwargs.items():
            if key in self.names:
                arguments[key] = value
            elif key.startswith("_"):
                options[self.option(key)] = value
            else:
                arguments[key] = value
        return arguments, options

    def option(self, key: str) -> str:
        """The option that an argument with an underscore stands for. Raises TypeError."""
        option = key.removeprefix("_")
        if option == key or option not in NAMES:
            raise TypeError(f"{self.function}.enqueue() got {key!r}: {unknown_option(option, '_')}")
        return option

    def payload(self, args: Sequence[Any], kwargs: dict[str, Any]) -> bytes | None:
        """The payload of a call as JSON text; None for that of a handler whose only parameter was left out."""
        if args:
            kwargs = self._named(args, kwargs)
        if self.whole is None:
            return encode_payload(kwargs)
        for key in kwargs:
            if key != self.whole:
                raise TypeError(f"{self.function}.enqueue() takes {self.whole} and options, got {key!r}")
        return encode_payload(kwargs[self.whole]) if kwargs else None

    def _named(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        positional = [each for each in self.order if each not in self.keyword_only]
        if len(args) > len(positional):
            raise TypeError(f"{self.function}.enqueue() takes {len(positional)} positional arguments, got {len(args)}")
        named = dict(zip(positional, args, strict=False))
        twice = named.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{self.function}.enqueue() got two values for {', '.join(sorted(twice))}")
        return {**named, **kwargs}
