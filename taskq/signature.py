"""How a JSON payload becomes the arguments of a handler. Pure: built once from the function's type hints.

Three shapes: keyword arguments (a JSON object, one member for each parameter); one parameter annotated with a struct,
dataclass or TypedDict (the object is that); one parameter named `payload` (any JSON value, checked if it is annotated).
A parameter annotated with a context class (`__taskq_context__`) gets the context and is no part of the payload.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from taskq.callables import called, plain
from taskq.errors import InvalidPayload, TaskqError
from taskq.members import pointer_step

_PATH = re.compile(r" - at (?:`key` in )?`\$(?P<path>.*)`$")
_STEP = re.compile(r"\.(?P<name>[^.\[\]]+)|\[(?P<index>[^\]]*)\]")

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Signature(msgspec.Struct, frozen=True):
    """What a handler takes. `model` is the type of the payload as a whole; `whole` names the parameter that gets it whole,
    or is None when each parameter takes one member; `context` names the parameters that get the context; `open_ended` tells
    that members without a parameter are taken too (`**rest`), each of the type `further`."""

    model: Any
    whole: str | None
    context: tuple[str, ...]
    positional_only: tuple[str, ...]
    required: bool
    open_ended: bool = False
    further: Any = Any

    def bind(self, payload: bytes | None, context: object = None) -> Arguments:
        """The arguments for one call. `payload` is JSON text, None for none. Raises InvalidPayload with a pointer."""
        named = self._members(payload)
        for name in self.context:
            named[name] = context
        if not self.positional_only:
            return (), named
        return tuple(named.pop(name) for name in self.positional_only if name in named), named

    def _members(self, payload: bytes | None) -> dict[str, Any]:
        if payload is None and self.whole is not None and not self.required:
            return {}
        text = payload if payload is not None else (b"null" if self.whole else b"{}")
        if self.whole is None and not self.required and text in (b"null", b'""'):
            text = b"{}"
        value = _decode(text, self.model)
        if self.whole is not None:
            return {self.whole: value}
        named = msgspec.structs.asdict(value)
        return {**self._rest(text, named), **named} if self.open_ended else named

    def _rest(self, text: bytes, named: Mapping[str, Any]) -> dict[str, Any]:
        members: dict[str, msgspec.Raw] = _decode(text, dict[str, msgspec.Raw])
        for name in self.context:
            if name in members:
                raise InvalidPayload("this name belongs to the handler's context", f"/{name}")
        return {name: self._further(name, value) for name, value in members.items() if name not in named}

    def _further(self, name: str, value: msgspec.Raw) -> Any:
        try:
            return _decode(bytes(value), self.further)
        except InvalidPayload as error:
            raise InvalidPayload(error.detail, pointer_step(name) + error.pointer) from error


def signature_of(function: Callable[..., Any]) -> Signature:
    """Read a handler's parameters. Raises TaskqError for one that no payload can be mapped to."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError) as error:
        raise TaskqError(f"{called(function)}: its parameters cannot be read: {error}; wrap it in a function") from error
    hints = _hints(function)
    context = tuple(name for name in parameters if _is_context(hints.get(name)))
    rest = {name: parameter for name, parameter in parameters.items() if name not in context}
    if any(p.kind is p.VAR_POSITIONAL for p in rest.values()):
        raise TaskqError(
            f"{called(function)}: *args cannot be filled from a JSON payload; name the parameters "
            "(a decorator around it keeps their names with functools.wraps)"
        )
    positional_only = tuple(n for n, p in parameters.items() if p.kind is p.POSITIONAL_ONLY)
    if len(rest) == 1:
        name, only = next(iter(rest.items()))
        hint = hints.get(name, Any)
        if only.kind is not only.VAR_KEYWORD and (name == "payload" or _is_model(hint)):
            _check_hints(function, {name: hint})
            return Signature(hint, name, context, positional_only, only.default is only.empty)
    _check_hints(function, {name: hints[name] for name in rest if name in hints})
    required = any(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in rest.values())
    further = next((hints.get(name, Any) for name, p in rest.items() if p.kind is p.VAR_KEYWORD), None)
    model = _model(function, rest, hints, open_ended=further is not None)
    return Signature(model, None, context, positional_only, required, further is not None, further)


def pointer(message: str) -> tuple[str, str]:
    """Split an error text of msgspec into its sentence and the JSON pointer of the place it names ("" for the whole)."""
    match = _PATH.search(message)
    if match is None:
        return message, ""
    # msgspec does not tell the key of a dict's value: the dict itself is the nearest place that can be named
    path = match["path"].partition("[...]")[0]
    steps = [step["name"] or step["index"] for step in _STEP.finditer(path)]
    return message[: match.start()], "".join(map(pointer_step, steps))


def _decode(text: bytes, model: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=model)
    except msgspec.ValidationError as error:
        detail, place = pointer(str(error))
        raise InvalidPayload(detail, place) from error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidPayload(str(error)) from error


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    target = plain(function)
    if not inspect.isroutine(target):
        target = type(target).__call__
    try:
        hints = typing.get_type_hints(target, include_extras=True)
    except NameError as error:
        raise TaskqError(f"{called(function)}: a type hint cannot be resolved: {error}") from error
    except Exception as error:  # an annotation is code of the module's, which may raise anything
        raise TaskqError(f"{called(function)}: a type hint cannot be used: {error}") from error
    return {name: Any if hint is object else hint for name, hint in hints.items()}


def _is_context(hint: Any) -> bool:
    """True for a context class, also for one that may be None (in calls without taskq)."""
    hints = (
        typing.get_args(hint) if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union else (hint,)
    )
    return any(getattr(each, "__taskq_context__", False) for each in hints)


def _is_model(hint: Any) -> bool:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    hint = typing.get_origin(hint) or hint  # a generic class with its arguments
    if not isinstance(hint, type):
        return False
    return issubclass(hint, msgspec.Struct) or dataclasses.is_dataclass(hint) or typing.is_typeddict(hint)


def _model(
    function: Callable[..., Any], rest: Mapping[str, inspect.Parameter], hints: Mapping[str, Any], *, open_ended: bool
) -> Any:
    fields: list[Any] = [
        (name, hints.get(name, Any)) if p.default is p.empty else (name, hints.get(name, Any), _default(p.default))
        for name, p in rest.items()
        if p.kind is not p.VAR_KEYWORD
    ]
    return msgspec.defstruct(
        f"{called(function).rpartition('.')[2]}_payload", fields, kw_only=True, forbid_unknown_fields=not open_ended
    )


def _check_hints(function: Callable[..., Any], hints: Mapping[str, Any]) -> None:
    """Raises TaskqError for a parameter that JSON cannot fill."""
    for name, hint in hints.items():
        try:
            msgspec.json.schema(hint)
        except (TypeError, NotImplementedError) as error:
            why = str(error).strip().splitlines()[-1]
            raise TaskqError(
                f"{called(function)}: the parameter {name!r} has a type that JSON cannot fill: {why.rstrip('.')}; "
                "take plain values, lists, dicts, dataclasses, TypedDicts or msgspec.Structs"
            ) from error


def _default(value: Any) -> Any:
    return msgspec.field(default_factory=lambda: value) if isinstance(value, (list, dict, set)) else value
