"""What a service tells about its task types: schema, defaults, description. Pure.

All workers of a service publish the same catalog under its digest, so whoever has read one never reads it again.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from taskq.config import Defaults
from taskq.registry import Handler, Registry
from taskq.schema import JsonSchema, model_of, schema_of
from taskq.signature import Signature

SCHEMA_MAX_BYTES = 64 * 1024
"""A larger schema is left out: payloads of its type are checked by the worker alone."""

CATALOG_MAX_BYTES = 4 * 1024**2
"""Beyond this no schema is published at all."""

_DESCRIPTION_MAX = 200


class TypeInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One type as it is published. `payload` None: nothing is known of it, anything is taken. `whole` and `required` are
    those of `Signature`. `max_retry` None leaves it to whoever takes the task; limits of 0 mean none."""

    description: str = ""
    payload: JsonSchema | None = None
    whole: bool = False
    required: bool = False
    max_retry: int | None = None
    timeout_s: float = 0
    memory_limit_bytes: int = 0


class Published(NamedTuple):
    """A catalog as it is stored: JSON text under its digest."""

    digest: str
    text: bytes


class Catalog:
    """A catalog that was read, with the signatures of its types."""

    def __init__(self, types: Mapping[str, TypeInfo]) -> None:
        self.types = types
        self._signatures: dict[str, Signature] = {}

    @classmethod
    def decode(cls, text: bytes) -> Catalog:
        """The catalog that was published as `text`; one that cannot be read names no types."""
        try:
            return cls(msgspec.json.decode(text, type=dict[str, TypeInfo]))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return cls({})

    def signature(self, type_: str) -> Signature:
        """What a type takes, as its schema tells it. Raises KeyError."""
        if type_ not in self._signatures:
            info = self.types[type_]
            model = Any if info.payload is None else model_of(info.payload)
            whole = "payload" if info.whole or model is Any else None
            self._signatures[type_] = Signature(model, whole, (), (), info.required)
        return self._signatures[type_]


def publish(registry: Registry, defaults: Defaults) -> Published:
    """The catalog of a service whose configuration has these defaults."""
    types = {type_: info_of(registry.get(type_), defaults) for type_ in registry.types()}
    text = msgspec.json.encode(types)
    if len(text) > CATALOG_MAX_BYTES:
        bare = {type_: msgspec.structs.replace(info, payload=None) for type_, info in types.items()}
        text = msgspec.json.encode(bare)
    return Published(hashlib.sha256(text).hexdigest()[:16], text)


def info_of(handler: Handler, defaults: Defaults) -> TypeInfo:
    """What is told about a type of this process."""
    options, signature = handler.options, handler.signature
    return TypeInfo(
        description=(inspect.getdoc(handler.function) or "").partition("\n")[0][:_DESCRIPTION_MAX],
        payload=_schema(signature),
        whole=signature.whole is not None,
        required=signature.required,
        max_retry=options.max_retry,
        timeout_s=defaults.timeout if options.timeout_s is None else options.timeout_s,
        memory_limit_bytes=defaults.memory_limit if options.memory_limit_bytes is None else options.memory_limit_bytes,
    )


def _schema(signature: Signature) -> JsonSchema | None:
    try:
        schema = schema_of(signature.model)
    except TypeError:
        return None
    return schema if len(msgspec.json.encode(schema)) <= SCHEMA_MAX_BYTES else None
