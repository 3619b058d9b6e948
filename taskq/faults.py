"""Everything that is wrong with a payload, each fault with its place; msgspec alone names the first one only. Pure.

A value that is refused is taken apart as its type says, and each part is looked at on its own. What cannot be taken apart
(a union of several types, a tuple) has the one fault that msgspec names.
"""

from __future__ import annotations

import dataclasses
import itertools
import types
import typing
from collections import abc
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, NamedTuple, NotRequired, Required, Union

import msgspec
import msgspec.inspect

from taskq.errors import InvalidPayload
from taskq.members import pointer_step
from taskq.signature import Signature

MOST_FAULTS = 100
"""Faults of one payload that are named at most."""

MOST_LEVELS = 16
"""How deep a value is taken apart; below that msgspec names the place of the first fault."""

_LISTS = (list, set, frozenset, abc.Sequence, abc.Collection, abc.Set)
_MAPPINGS = (dict, abc.Mapping, abc.MutableMapping)
_LABELS = (Required, NotRequired)


class Part(NamedTuple):
    """A member or item: its step in a JSON pointer, its type, its JSON text."""

    step: str
    type: Any
    text: bytes


class Fields(NamedTuple):
    """The members of an object: the type of each, those that must be there, and whether there may be others."""

    types: Mapping[str, Any]
    required: frozenset[str]
    closed: bool = False
    tag: str | None = None


def faults(signature: Signature, payload: bytes | None) -> list[InvalidPayload]:
    """Everything that is wrong with a payload (JSON text), at most MOST_FAULTS."""
    if signature.model is Any:
        return []
    try:
        signature.bind(payload)
    except InvalidPayload as error:
        found = list(itertools.islice(_inside(signature.model, payload or b"{}", 0), MOST_FAULTS))
        return found or [error]
    return []


def _of_part(part: Part, level: int) -> Iterator[InvalidPayload]:
    try:
        Signature(part.type, "payload", (), (), True).bind(part.text)
    except InvalidPayload as error:
        within = _inside(part.type, part.text, level)
        first = next(within, error)
        for fault in itertools.chain([first], within):
            yield InvalidPayload(fault.detail, part.step + fault.pointer)


def _inside(type_: Any, text: bytes, level: int) -> Iterator[InvalidPayload]:
    """The faults of the parts of a value that is refused; none if it is at fault as a whole."""
    type_ = _stripped(type_)
    if level >= MOST_LEVELS:
        return
    try:
        fields = _fields(type_)
        if fields:
            yield from _of_members(fields, _members(text), level + 1)
        else:
            for part in _parts(type_, text):
                yield from _of_part(part, level + 1)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # another kind of value than the type wants: as a whole it is at fault
    except (TypeError, NameError):
        return  # a type that msgspec understands better than we do


def _of_members(fields: Fields, given: Mapping[str, bytes], level: int) -> Iterator[InvalidPayload]:
    for name, type_ in fields.types.items():
        if name in given:
            yield from _of_part(Part(pointer_step(name), type_, given[name]), level)
        elif name in fields.required:
            yield InvalidPayload("expected a value, got nothing", pointer_step(name))
    known = ", ".join(fields.types) or "none"
    for name in given if fields.closed else ():
        if name not in fields.types and name != fields.tag:
            yield InvalidPayload(f"expected no member but {known}", pointer_step(name))


def _parts(type_: Any, text: bytes) -> Iterator[Part]:
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin in _LISTS:
        for at, item in enumerate(msgspec.json.decode(text, type=list[msgspec.Raw])):
            yield Part(f"/{at}", arguments[0], bytes(item))
    elif origin in _MAPPINGS and _stripped(arguments[0]) is str:
        for name, value in _members(text).items():
            yield Part(pointer_step(name), arguments[1], value)


def _fields(type_: Any) -> Fields | None:
    """What is known of the members of a struct, dataclass or TypedDict; None for any other type."""
    plain = typing.get_origin(type_) or type_  # a generic class with its arguments
    if not isinstance(plain, type):
        return None
    if issubclass(plain, msgspec.Struct):
        config, fields = plain.__struct_config__, msgspec.structs.fields(type_)
        if config.array_like:
            return None
        return Fields(
            {field.encode_name: field.type for field in fields},
            frozenset(field.encode_name for field in fields if field.required),
            config.forbid_unknown_fields,
            config.tag_field,
        )
    if dataclasses.is_dataclass(type_) or typing.is_typeddict(type_):
        hints = typing.get_type_hints(type_, include_extras=True)
        info: Any = msgspec.inspect.type_info(type_)  # __required_keys__ is wrong where annotations are strings
        required = frozenset(field.name for field in info.fields if field.required)
        return Fields({field.name: _unlabelled(hints[field.name]) for field in info.fields}, required)
    return None


def _members(text: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in msgspec.json.decode(text, type=dict[str, msgspec.Raw]).items()}


def _stripped(type_: Any) -> Any:
    """A type without what is said beside it, and without None: a null that is allowed is never looked at here."""
    if typing.get_origin(type_) is Annotated:
        type_ = typing.get_args(type_)[0]
    if typing.get_origin(type_) in (Union, types.UnionType):
        others = [each for each in typing.get_args(type_) if each is not type(None)]
        return _stripped(others[0]) if len(others) == 1 else type_
    return type_


def _unlabelled(hint: Any) -> Any:
    """The type of a member of a TypedDict, without what says whether it must be there."""
    return _unlabelled(typing.get_args(hint)[0]) if typing.get_origin(hint) in _LABELS else hint
