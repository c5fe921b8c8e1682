"""The API's description (OpenAPI 3.1), generated from the table of routes and their schemas."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from helios.api import problems, web

_REF = "#/components/schemas/{name}"
_KINDS = {str: "string", int: "integer", bool: "boolean"}


def describe(routes: Sequence[web.Route], *, version: str) -> dict[str, Any]:
    """The OpenAPI document of these routes.

    Args:
        routes: all of them; each becomes one operation, unless it is only a page.
        version: of Helios.
    """
    routes = [route for route in routes if route.is_described]
    kinds = _schemas(routes)
    described, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    schemas = dict(zip((_key(kind) for kind in kinds), described, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = paths.setdefault(route.path, {})
        path[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Helios",
            "version": version,
            "description": "Keeps declared facts true across systems that you do not control.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _schemas(routes: Sequence[web.Route]) -> list[Any]:
    found: dict[str, Any] = {_key(problems.ProblemDocument): problems.ProblemDocument}
    for route in routes:
        replies = (reply.schema for reply in route.replies.values())
        for kind in (*route.body.values(), *replies):
            if kind is not None:
                found[_key(kind)] = kind
    return list(found.values())


def _key(kind: Any) -> str:
    return repr(kind)


def _operation(route: web.Route, schemas: Mapping[str, Any]) -> dict[str, Any]:
    replies: dict[str, Any] = {
        str(status): _reply(reply, schemas) for status, reply in route.replies.items()
    }
    replies["default"] = {
        "description": "A problem (RFC 9457).",
        "content": {
            problems.CONTENT_TYPE.decode(): {"schema": schemas[_key(problems.ProblemDocument)]}
        },
    }
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [
            *(_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)),
            *(_parameter(parameter) for parameter in route.parameters),
        ],
        "responses": replies,
    }
    if route.body:
        content = {kind: {"schema": schemas[_key(body)]} for kind, body in route.body.items()}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _operation_id(route: web.Route) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/api/v1"))
    return "_".join([route.method.lower(), *words]) if words else f"{route.method.lower()}_start"


def _reply(reply: web.Reply, schemas: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"type": "string"} if reply.schema is None else schemas[_key(reply.schema)]
    if reply.content_type.endswith("yaml"):
        # A schema is of what YAML stands for, which may be anything.
        schema = {}
    return {
        "description": reply.description,
        "content": {reply.content_type: {"schema": schema}},
    }


def _path_parameter(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _parameter(parameter: web.Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": False,
        "description": parameter.description,
        "schema": {"type": _KINDS[parameter.kind]},
    }
