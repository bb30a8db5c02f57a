"""Render docs/api.md from the OpenAPI description."""

from collections.abc import Iterator, Mapping
from typing import Any

_HEAD = """\
# The admin interface

An agent serves HTTP and JSON on its unix socket. Only the agent's user and root may open it.
[Operations](operations.md#the-admin-interface) says where it is, and what bounds a request. Any HTTP client can use it:

    curl --unix-socket /run/ikto/ikto.sock http://localhost/v1/status

In Python, [`ikto_core.client`](reference.md) has a class for it. [openapi.json](openapi.json) is the description that
this page is made from (`make reference`), in OpenAPI 3.1. A test makes each request to a real agent, and compares the
answer with it. [Compatibility](compatibility.md#json-and-metrics) says how the interface may change: ignore members and
events that you do not know.

- `null` means that a value does not exist, or not yet.
- A time is a string as in RFC 3339, in UTC, such as `"2026-01-31T23:59:59.25Z"`. A duration is a number of seconds; its
  name ends in `_s`.
- Names and reasons are written by others. They may be any text; nothing is escaped.
- There are no private and no preshared keys, no passwords and no tokens in any answer.
- An error has a status of 400 or more, and a body with `error` and, if there is one, `hint`: 404 for a path that does
  not exist, 405 for another method, 409 for what can't be done now.

**To have the whole mesh and then every change**, ask for `/v1/events?state=true&follow=true`. Apply the events in their
order. When the stream ends, ask for `/v1/events?follow=true&after=NUMBER` with the last number. On `dropped`, begin
anew.
"""


def api_page(description: Mapping[str, Any]) -> str:
    """Return the page."""
    lines = [_HEAD]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            lines += _operation(method.upper(), path, operation)
    lines += ["## What the answers have", ""]
    for name, schema in description["components"]["schemas"].items():
        lines += _schema(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"## `{method} {path}`", "", f"{operation['summary']}.", "")
    if parameters := operation.get("parameters"):
        yield from ("| parameter | values | |", "|---|---|---|")
        for each in parameters:
            schema = each["schema"]
            values = " or ".join(f"`{value}`" for value in schema.get("enum", ())) or schema["type"]
            default = f"; default `{schema['default']}`" if "default" in schema else ""
            yield f"| `{each['name']}` | {values}{default} | {each['description']} |"
        yield ""
    yield from ("| status | body | |", "|---|---|---|")
    for status, response in operation["responses"].items():
        ((content_type, body),) = response["content"].items()
        if status != "default":
            yield f"| {status} | {_type(body['schema'])}, `{content_type}` | {response['description']} |"
    yield ""


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"### {name}", "", schema.get("description", ""), "")
    if "anyOf" in schema:
        yield from (f"- {_type(each)}" for each in schema["anyOf"])
        yield ""
    if schema.get("properties"):
        yield from ("| member | type | |", "|---|---|---|")
        for member, each in schema["properties"].items():
            optional = "" if member in schema.get("required", ()) else ", may be left out"
            text = each.get("description", "").replace("|", r"\|")
            yield f"| `{member}` | {_type(each)}{optional} | {text} |"
        yield ""
    elif "enum" in schema:
        yield from (", ".join(f"`{value}`" for value in schema["enum"]), "")


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    return str(schema.get("type", "any"))
