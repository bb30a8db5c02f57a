"""The OpenAPI description of the admin interface: the routes, and the schemas of what they answer.

The schemas come from the types in `ikto_core/admin` and `ikto_core/observers`, with the comments of their members. A
route is described here; `tests/e2e/test_api.py` makes every request, and fails for a route that is missing here.
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple, Union, get_args

import msgspec

from ikto_core.admin.device_views import DiffView
from ikto_core.admin.events import CONTENT_TYPE as LINES
from ikto_core.admin.leave_views import LeaveView
from ikto_core.admin.mesh_views import InfoView, PeersView, ReleasedView
from ikto_core.admin.views import ErrorView, EventView, ProgressView, RotationView, StatusView
from ikto_core.admin.why_views import Diagnosis
from ikto_core.observers.contract import MeshEvent
from ikto_core.observers.health import HealthEvent
from tools.reference.source import Definition, Library, members

JSON, TEXT = "application/json", "text/plain"
_REF = "#/components/schemas/{name}"
EVENT_LINE = "EventLine"


class Nothing(msgspec.Struct):
    """An empty object."""


class Answer(NamedTuple):
    """What a request may be answered with."""

    description: str
    type: object = None  # of the body: a type, the name of a schema, or None for text
    content_type: str = JSON


class Parameter(NamedTuple):
    """A parameter of the query."""

    name: str
    schema: Mapping[str, object]
    description: str


class Route(NamedTuple):
    """A request that the agent answers."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Answer]
    parameters: tuple[Parameter, ...] = ()


_FLAG = {"type": "string", "enum": ["true", "false"], "default": "false"}
_REFUSED = Answer("It can't be done now; `error` says why.", ErrorView)

ROUTES = (
    Route("GET", "/v1/info", "This node's record and its peers' records", {200: Answer("As `ikto info`.", InfoView)}),
    Route(
        "GET",
        "/v1/progress",
        "How far the agent is; the device is not read",
        {200: Answer("It can be asked often.", ProgressView)},
    ),
    Route("GET", "/v1/status", "All that the agent knows of itself", {200: Answer("As `ikto status`.", StatusView)}),
    Route("GET", "/v1/diff", "What would be done to the device now", {200: Answer("As `ikto diff`.", DiffView)}),
    Route("GET", "/v1/config", "The settings, with secrets hidden", {200: Answer("By name.", dict[str, Any])}),
    Route("GET", "/v1/peers", "The accepted peers", {200: Answer("As `ikto peers`.", PeersView)}),
    Route(
        "GET",
        "/v1/events",
        "What happened lately, and what happens",
        {
            200: Answer("Lines of JSON, one for each event, oldest first.", EVENT_LINE, LINES),
            400: Answer("A parameter is wrong.", ErrorView),
        },
        (
            Parameter(
                "after",
                {"type": "integer", "minimum": 0, "default": 0},
                "Only events with a higher `number` than this.",
            ),
            Parameter(
                "follow",
                _FLAG,
                "`true`: go on with the events to come. The stream ends after 45 s: ask again with the last `number`.",
            ),
            Parameter("state", _FLAG, "`true`: begin with the whole mesh, as an observer gets it; `after` is ignored."),
        ),
    ),
    Route(
        "GET",
        "/v1/why",
        "Why a peer can be reached, or not",
        {
            200: Answer("As `ikto why`.", Diagnosis),
            400: Answer("`target` is missing, or too long.", ErrorView),
        },
        (
            Parameter(
                "target",
                {"type": "string"},
                "The peer's name, public key or the beginning of it, subnet, an address in it, or an endpoint.",
            ),
            Parameter("probe", {"type": "string", "enum": ["yes", "no"], "default": "yes"}, "`no`: nothing is sent."),
        ),
    ),
    Route(
        "POST",
        "/v1/peers/release",
        "Apply the pending removals and key changes",
        {202: Answer("They are applied soon.", ReleasedView)},
    ),
    Route(
        "POST",
        "/v1/resync",
        "Read the whole bucket and the whole device again",
        {202: Answer("It is done soon.", Nothing)},
    ),
    Route(
        "POST",
        "/v1/rotate-key",
        "Begin a key rotation, unless one is under way",
        {202: Answer("Peers are given time to learn the next key.", RotationView), 409: _REFUSED},
    ),
    Route(
        "GET",
        "/v1/leave",
        "How far an agent is that was asked to end",
        {200: Answer("`step` is `none` if nobody has asked.", LeaveView)},
    ),
    Route(
        "POST",
        "/v1/leave",
        "Leave the mesh: withdraw the record, remove the device, and end",
        {202: Answer("It has begun; `GET /v1/leave` says how far it is.", LeaveView), 409: _REFUSED},
        (
            Parameter("drain_s", {"type": "number", "minimum": 0, "default": 0}, "How long peers get, in seconds."),
            Parameter("forget", {"type": "integer", "enum": [0, 1], "default": 0}, "`1`: the claim is forgotten."),
        ),
    ),
    Route(
        "POST",
        "/v1/down",
        "Remove the device and end; record and claim stay",
        {202: Answer("It has begun; `GET /v1/leave` says how far it is.", LeaveView), 409: _REFUSED},
    ),
    Route("GET", "/healthz", "Whether the agent runs", {200: Answer("It runs.", None, TEXT)}),
    Route(
        "GET",
        "/readyz",
        "Whether the device shows the mesh",
        {
            200: Answer("It does, from the bucket or from the snapshot. The body is the agent's state.", None, TEXT),
            503: Answer("It does not. The body is the agent's state.", None, TEXT),
        },
    ),
    Route(
        "GET",
        "/metrics",
        "Metrics",
        {200: Answer("In Prometheus' text format; docs/metrics.md says what they mean.", None, TEXT)},
    ),
)
"""Every request but HEAD, which a GET route answers too, without the body."""


def openapi(library: Library, version: str) -> dict[str, Any]:
    """Return the description; `version` is Ikto's minor version."""
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Admin interface of an Ikto agent",
            "version": version,
            "description": "HTTP on the agent's unix socket. Written by `make reference`.",
        },
        "servers": [{"url": "http://localhost", "description": "over the unix socket, such as /run/ikto/ikto.sock"}],
        "paths": paths,
        "components": {"schemas": _schemas(library)},
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [
        {"name": each.name, "in": "query", "description": each.description, "schema": each.schema}
        for each in route.parameters
    ]
    answers = {str(status): _response(answer) for status, answer in route.answers.items()}
    default = _response(Answer("Any other error: no such path, another method, or a bug of the agent.", ErrorView))
    return {
        "summary": route.summary,
        **({"parameters": parameters} if parameters else {}),
        "responses": {**answers, "default": default},
    }


def _response(answer: Answer) -> dict[str, Any]:
    name = answer.type if isinstance(answer.type, str) else getattr(answer.type, "__name__", "")
    schema = {"$ref": _REF.format(name=name)} if name else {"type": "string"}
    if name == "dict":  # of a JSON object without a schema of its own
        schema = {"type": "object"}
    return {"description": answer.description, "content": {answer.content_type: {"schema": schema}}}


def _schemas(library: Library) -> dict[str, Any]:
    bodies = {a.type for route in ROUTES for a in route.answers.values() if isinstance(a.type, type)} | {ErrorView}
    types = sorted(bodies, key=lambda each: each.__name__)
    events = get_args(Union[MeshEvent, HealthEvent])  # noqa: UP007 - flattened
    _, schemas = msgspec.json.schema_components([*types, EventView, *events], ref_template=_REF)
    for name, schema in schemas.items():
        _describe(library, name, schema)
    common = schemas.pop("EventView")
    for event in events:
        schema = schemas[event.__name__]
        schema["properties"] = common["properties"] | schema["properties"]
        schema["required"] = common["required"] + schema["required"]
    schemas[EVENT_LINE] = {
        "title": EVENT_LINE,
        "description": "A line of `GET /v1/events`; its member `event` says which of these it is.",
        "anyOf": [{"$ref": _REF.format(name=event.__name__)} for event in events],
    }
    return dict(sorted(schemas.items()))


def _describe(library: Library, name: str, schema: dict[str, Any]) -> None:
    """Add the comments of a type's members, and say that there are no other members."""
    if "properties" not in schema:
        return
    schema["additionalProperties"] = False
    place = next((module for module in tuple(sys.modules.values()) if _defines(module, name)), None)
    if place is None:
        return
    module = library.module(place.__name__)
    definition = Definition(module, name, module.definitions[name])
    struct = vars(place)[name]
    names = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    for field in msgspec.structs.fields(struct):
        if datetime in (field.type, *get_args(field.type)):
            _mark_as_time(schema["properties"][field.encode_name])
    if not struct.__struct_config__.omit_defaults:
        schema["required"] = list(schema["properties"])
    for member in members(definition):
        if (comment := module.comment(member.node)) and (found := names.get(member.name)) in schema["properties"]:
            schema["properties"][found]["description"] = comment


def _mark_as_time(schema: dict[str, Any]) -> None:
    """Say of a datetime's schema what msgspec says only where times without a zone are refused."""
    for each in (schema, *schema.get("anyOf", ())):
        if each.get("type") == "string":
            each["format"] = "date-time"


def _defines(module: object, name: str) -> bool:
    found = getattr(module, name, None)
    place = str(getattr(module, "__name__", ""))
    return place.startswith("ikto_core.") and isinstance(found, type) and found.__module__ == place
