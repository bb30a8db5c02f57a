"""Checks a value against a JSON Schema, strictly: a keyword that is not handled here is an error."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
IGNORED = {"title", "description", "default", "discriminator"}


def faults(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], at: str = "$") -> Iterator[str]:
    """Yield what is wrong with a value; `root` is the document that references lead into."""
    for keyword, rule in schema.items():
        if keyword not in IGNORED:
            yield from CHECKS[keyword](value, rule, schema, root, at)


def resolved(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found)


def _reference(value: object, rule: str, _: object, root: Mapping[str, Any], at: str) -> Iterator[str]:
    yield from faults(value, resolved(rule, root), root, at)


def _any_of(value: object, rule: list[Any], _: object, root: Mapping[str, Any], at: str) -> Iterator[str]:
    found = [list(faults(value, each, root, at)) for each in rule]
    if all(found):
        yield f"{at}: {value!r} is none of {len(rule)}: {found}"


def _type(value: object, rule: str, *rest: Any) -> Iterator[str]:
    right = isinstance(value, TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
    if not right:
        yield f"{rest[-1]}: {value!r} is no {rule}"


def _format(value: object, rule: str, *rest: Any) -> Iterator[str]:
    assert rule == "date-time", rule
    if isinstance(value, str) and not TIME.fullmatch(value):
        yield f"{rest[-1]}: {value!r} is no time of RFC 3339 in UTC"


def _enum(value: object, rule: list[object], *rest: Any) -> Iterator[str]:
    if value not in rule:
        yield f"{rest[-1]}: {value!r} is none of {rule}"


def _properties(value: object, rule: Mapping[str, Any], _: object, root: Mapping[str, Any], at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in rule.items():
            if name in value:
                yield from faults(value[name], each, root, f"{at}.{name}")


def _required(value: object, rule: list[str], *rest: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{rest[-1]}: {name} is missing" for name in rule if name not in value)


def _additional(value: object, rule: object, schema: Mapping[str, Any], *rest: Any) -> Iterator[str]:
    assert rule is False, "the descriptions allow no other members"
    if isinstance(value, dict):
        yield from (f"{rest[-1]}: {name} is not described" for name in value.keys() - schema["properties"].keys())


def _items(value: object, rule: Mapping[str, Any], _: object, root: Mapping[str, Any], at: str) -> Iterator[str]:
    for number, each in enumerate(value if isinstance(value, list) else ()):
        yield from faults(each, rule, root, f"{at}[{number}]")


CHECKS: Mapping[str, Any] = {
    "$ref": _reference,
    "anyOf": _any_of,
    "type": _type,
    "format": _format,
    "enum": _enum,
    "properties": _properties,
    "required": _required,
    "additionalProperties": _additional,
    "items": _items,
}
