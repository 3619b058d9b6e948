"""The type of a payload as JSON Schema, there and back. Pure.

A worker publishes the schemas of its types; an API that does not have their code builds types from them, which take and
refuse the same JSON with the same words. What a schema cannot say, or says in words that are not known here, is taken: the
worker checks again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import GenericAlias
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec
import msgspec.inspect as mi

JsonSchema = dict[str, Any]

TIMEZONE = "x-timezone"
"""Our word beside the formats date-time and time: an offset is `optional` or must be absent (`none`); without it, it must
be there."""

_DEFS = "#/$defs/"
_NUMBER = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum", "multiple_of": "multipleOf"}
_STRING = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
_ARRAY = {"min_length": "minItems", "max_length": "maxItems"}
_OBJECT = {"min_length": "minProperties", "max_length": "maxProperties"}
_INTEGER_KEYS = {"pattern": "^-?[0-9]+$"}
_NULL: JsonSchema = {"type": "null"}
_SIMPLE: Mapping[type[mi.Type], JsonSchema] = {
    mi.NoneType: _NULL,
    mi.BoolType: {"type": "boolean"},
    mi.BytesType: {"type": "string", "contentEncoding": "base64"},
    mi.ByteArrayType: {"type": "string", "contentEncoding": "base64"},
    mi.MemoryViewType: {"type": "string", "contentEncoding": "base64"},
    mi.DateType: {"type": "string", "format": "date"},
    mi.TimeDeltaType: {"type": "string", "format": "duration"},
    mi.UUIDType: {"type": "string", "format": "uuid"},
    mi.DecimalType: {"type": "string", "format": "decimal"},
}
_FORMATS: Mapping[str, Any] = {
    "date-time": datetime,
    "time": time,
    "date": date,
    "duration": timedelta,
    "uuid": UUID,
    "decimal": Decimal,
}
_TIMEZONES = {None: True, "optional": None, "none": False}
_NAMED = (mi.StructType, mi.DataclassType, mi.TypedDictType, mi.NamedTupleType)


def schema_of(model: Any) -> JsonSchema:
    """The JSON Schema (2020-12) of a type. Raises TypeError for what msgspec does not know."""
    writer = _Writer()
    schema = writer.write(mi.type_info(model))
    name = schema.get("$ref", "").removeprefix(_DEFS)
    if len(schema) == 1 and writer.uses[name] == 1:
        schema = writer.defs.pop(name)
    return {**schema, "$defs": writer.defs} if writer.defs else schema


def model_of(schema: JsonSchema) -> Any:
    """A type that takes what the schema describes; Any for a schema that cannot be read."""
    try:
        model = _Reader(schema.get("$defs", {})).model(schema)
        msgspec.json.Decoder(model)
    except Exception:
        return Any  # it was written by another version, or by hand: whatever is wrong with it, the worker knows better
    return model


class _Writer:
    def __init__(self) -> None:
        self.defs: dict[str, JsonSchema] = {}
        self.uses: Counter[str] = Counter()
        self._names: dict[Any, str] = {}

    def write(self, info: mi.Type) -> JsonSchema:
        extra: JsonSchema = {}
        while isinstance(info, mi.Metadata):
            extra = {**(info.extra_json_schema or {}), **extra}
            info = info.type
        return {**extra, **self._write(info)}

    def _write(self, info: mi.Type) -> JsonSchema:
        match info:
            case mi.IntType() | mi.FloatType():
                return {"type": "integer" if isinstance(info, mi.IntType) else "number", **_limits(info, _NUMBER)}
            case mi.StrType():
                return {"type": "string", **_limits(info, _STRING)}
            case mi.DateTimeType() | mi.TimeType():
                format_ = "date-time" if isinstance(info, mi.DateTimeType) else "time"
                words = {True: {}, None: {TIMEZONE: "optional"}, False: {TIMEZONE: "none"}}[info.tz]
                return {"type": "string", "format": format_, **words}
            case mi.CollectionType():
                items = self.write(info.item_type)
                return {"type": "array", **({"items": items} if items else {}), **_limits(info, _ARRAY)}
            case mi.TupleType():
                items_ = [self.write(item) for item in info.item_types]
                return {
                    "type": "array",
                    "prefixItems": items_,
                    "items": False,
                    "minItems": len(items_),
                    "maxItems": len(items_),
                }
            case mi.DictType() | mi.FrozenDictType():
                return self._dict(info)
            case mi.UnionType():
                types = sorted(info.types, key=lambda each: isinstance(each, mi.NoneType))
                return {"anyOf": [self.write(each) for each in types]}
            case mi.LiteralType():
                return {"enum": list(info.values)}
            case mi.EnumType():
                return {"title": info.cls.__name__, "enum": [member.value for member in info.cls]}
            case mi.StructType() | mi.DataclassType() | mi.TypedDictType() | mi.NamedTupleType():
                return self._named(info)
        return dict(_SIMPLE.get(type(info), {}))

    def _dict(self, info: mi.DictType | mi.FrozenDictType) -> JsonSchema:
        keys, values = self.write(info.key_type), self.write(info.value_type)
        if keys.pop("type", "string") != "string":
            keys = dict(_INTEGER_KEYS) if isinstance(info.key_type, mi.IntType) else {}
        schema: JsonSchema = {"type": "object", **({"propertyNames": keys} if keys else {})}
        return {**schema, **({"additionalProperties": values} if values else {}), **_limits(info, _OBJECT)}

    def _named(self, info: mi.StructType | mi.DataclassType | mi.TypedDictType | mi.NamedTupleType) -> JsonSchema:
        """A reference; the type itself, which may refer to itself, is written once."""
        if info.cls not in self._names:
            plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", getattr(info.cls, "__name__", str(info.cls)))
            name = next(name for name in (plain, *(f"{plain}_{n}" for n in range(2, 10_000))) if name not in self.defs)
            self._names[info.cls] = name
            self.defs[name] = {}
            self.defs[name] = self._fields(info)
        self.uses[self._names[info.cls]] += 1
        return {"$ref": _DEFS + self._names[info.cls]}

    def _fields(self, info: mi.StructType | mi.DataclassType | mi.TypedDictType | mi.NamedTupleType) -> JsonSchema:
        schemas = [{**self.write(field.type), **_default(field)} for field in info.fields]
        closed = isinstance(info, mi.NamedTupleType) or (isinstance(info, mi.StructType) and info.forbid_unknown_fields)
        if isinstance(info, mi.NamedTupleType) or (isinstance(info, mi.StructType) and info.array_like):
            least = max((at for at, field in enumerate(info.fields, 1) if field.required), default=0)
            return {
                "type": "array",
                "prefixItems": schemas,
                "minItems": least,
                **({"maxItems": len(schemas)} if closed else {}),
            }
        names = [field.encode_name for field in info.fields]
        tag = {info.tag_field: {"const": info.tag}} if isinstance(info, mi.StructType) and info.tag_field else {}
        return {
            "type": "object",
            "properties": {**tag, **dict(zip(names, schemas, strict=True))},
            "required": [field.encode_name for field in info.fields if field.required],
            **({"additionalProperties": False} if closed else {}),
        }


class _Reader:
    def __init__(self, defs: Mapping[str, JsonSchema]) -> None:
        self._defs = defs
        self._types: dict[str, Any] = {}
        self._structs: list[Any] = []

    def model(self, schema: JsonSchema) -> Any:
        model = self.read(schema)
        for struct in self._structs:  # where the names of types that refer to themselves are looked up
            for name, type_ in self._types.items():
                setattr(struct, name, type_)
        return model

    def read(self, schema: JsonSchema) -> Any:
        if "$ref" in schema:
            return self._ref(schema["$ref"].removeprefix(_DEFS))
        if "enum" in schema:
            return Literal[tuple(schema["enum"])]
        if "anyOf" in schema:
            return Union[tuple(self.read(each) for each in schema["anyOf"])]  # noqa: UP007 - a name may stand for a type
        match schema.get("type"):
            case "null":
                return None
            case "boolean":
                return bool
            case "integer":
                return _limited(int, schema, _NUMBER)
            case "number":
                return _limited(float, schema, _NUMBER)
            case "string":
                return self._string(schema)
            case "array":
                return self._array(schema)
            case "object":
                return self._struct(schema) if "properties" in schema else self._dict(schema)
        return Any

    def _ref(self, name: str) -> Any:
        known = f"Def{list(self._defs).index(name)}"
        if known not in self._types:
            self._types[known] = known  # while it is being read, its name stands for it
            self._types[known] = self.read(self._defs[name])
        return self._types[known]

    def _string(self, schema: JsonSchema) -> Any:
        if schema.get("contentEncoding") == "base64":
            return bytes
        type_ = _FORMATS.get(schema.get("format", ""))
        if type_ in (datetime, time):
            return Annotated[type_, msgspec.Meta(tz=_TIMEZONES[schema.get(TIMEZONE)])]
        return type_ or _limited(str, schema, _STRING)

    def _array(self, schema: JsonSchema) -> Any:
        if "prefixItems" not in schema:
            return _limited(GenericAlias(list, (self.read(schema.get("items", {})),)), schema, _ARRAY)
        items = [self.read(each) for each in schema["prefixItems"]]
        if schema.get("items") is False:
            return GenericAlias(tuple, tuple(items))
        least = schema.get("minItems", 0)
        fields = [(f"f{at}", item) if at < least else (f"f{at}", item, None) for at, item in enumerate(items)]
        return self._defined(fields, array_like=True, forbid_unknown_fields="maxItems" in schema)

    def _dict(self, schema: JsonSchema) -> Any:
        names = schema.get("propertyNames", {})
        keys = int if names == _INTEGER_KEYS else self.read({"type": "string", **names})
        values = schema.get("additionalProperties", {})
        type_ = GenericAlias(dict, (keys, self.read(values) if isinstance(values, dict) else Any))
        return _limited(type_, schema, _OBJECT)

    def _struct(self, schema: JsonSchema) -> Any:
        fields: list[Any] = []
        names: dict[str, str] = {}
        options: dict[str, Any] = {}
        for name, each in schema["properties"].items():
            if "const" in each:
                options = {"tag_field": name, "tag": each["const"]}
                continue
            field = f"f{len(fields)}"
            names[field] = name
            fields.append((field, self.read(each)) if name in schema.get("required", ()) else (field, self.read(each), None))
        closed = schema.get("additionalProperties") is False
        return self._defined(fields, kw_only=True, rename=names, forbid_unknown_fields=closed, **options)

    def _defined(self, fields: list[Any], **options: Any) -> Any:
        struct = msgspec.defstruct("Payload", fields, **options)
        self._structs.append(struct)
        return struct


def _limits(info: mi.Type, words: Mapping[str, str]) -> JsonSchema:
    found = {word: getattr(info, name) for name, word in words.items()}
    return {word: value for word, value in found.items() if value is not None}


def _limited(type_: Any, schema: JsonSchema, words: Mapping[str, str]) -> Any:
    limits = {name: schema[word] for name, word in words.items() if word in schema}
    return Annotated[type_, msgspec.Meta(**limits)] if limits else type_


def _default(field: mi.Field) -> JsonSchema:
    value = field.default
    if value is msgspec.NODEFAULT:
        value = field.default_factory() if field.default_factory in (list, dict) else msgspec.NODEFAULT
    try:
        return {} if value is msgspec.NODEFAULT else {"default": msgspec.to_builtins(value, str_keys=True)}
    except (TypeError, ValueError, msgspec.MsgspecError):
        return {}  # it has no JSON form: the schema goes without
