"""The OpenAPI document, made of the endpoints that there are.

Nothing of it is written by hand: paths, bodies, queries and answers are the models'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from sidecar_client.local.http.rest.endpoints import AnyEndpoint
from sidecar_client.local.http.rest.statuses import STATUSES
from sidecar_client.local.http.rest.wire import NoBody, Problem

_REF = "#/components/schemas/{model}"
_RANGE = {"$ref": _REF.format(model="Range")}


@cache
def document(endpoints: tuple[AnyEndpoint, ...]) -> dict[str, Any]:
    """The whole document, OpenAPI 3.1."""
    schemas, refs = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        operations = paths.setdefault(f"/api{endpoint.path}", {})
        operations[endpoint.method.lower()] = _operation(endpoint, schemas, refs)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Management API of the local sidecar",
            "description": "In the shape of the vendor's REST API, for development.",
            "version": version("stigg-guard"),
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-KEY"}
            },
        },
    }


_Refs = dict[tuple[Any, str], dict[str, Any]]


def _schemas(endpoints: Sequence[AnyEndpoint]) -> tuple[dict[str, Any], _Refs]:
    models: dict[tuple[type[BaseModel], Any], None] = {(Problem, "serialization"): None}
    for endpoint in endpoints:
        models[endpoint.body, "validation"] = None
        models[endpoint.query, "validation"] = None
        models[endpoint.answer, "serialization"] = None
    refs, definitions = models_json_schema(
        list(models), ref_template=_REF, schema_generator=GenerateJsonSchema
    )
    by_model = {(model, str(mode)): ref for (model, mode), ref in refs.items()}
    return definitions.get("$defs", {}), by_model


def _operation(
    endpoint: AnyEndpoint, schemas: dict[str, Any], refs: _Refs
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.name,
        "summary": endpoint.summary,
        "parameters": [
            *_path_parameters(endpoint.path),
            *_query_parameters(refs[endpoint.query, "validation"], schemas),
        ],
        "responses": {
            str(endpoint.status): {
                "description": "Done.",
                "content": _json(refs[endpoint.answer, "serialization"]),
            },
            **_errors(refs[Problem, "serialization"]),
        },
    }
    if endpoint.method == "POST":
        operation["parameters"].append(_IDEMPOTENCY)
    if endpoint.body is not NoBody:
        body = refs[endpoint.body, "validation"]
        operation["requestBody"] = {
            "required": "required" in _resolved(body, schemas)
            or "oneOf" in _resolved(body, schemas),
            "content": _json(body),
        }
    return operation


_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The answer to this key is repeated for 24 hours.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _errors(problem: dict[str, Any]) -> dict[str, Any]:
    statuses = sorted({401, 413, 503, *STATUSES.values()})
    return {
        str(status): {"description": "An error.", "content": _json(problem)}
        for status in statuses
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
        for name in re.findall(r"{(\w+)}", path)
    ]


def _query_parameters(
    ref: dict[str, Any], schemas: dict[str, Any]
) -> list[dict[str, Any]]:
    schema = _resolved(ref, schemas)
    required = schema.get("required", [])
    parameters: list[dict[str, Any]] = []
    for name, of_it in schema.get("properties", {}).items():
        if _RANGE in _options(of_it):
            parameters.append(_range(name, schemas))
            continue
        parameter: dict[str, Any] = {
            "name": name,
            "in": "query",
            "required": name in required,
            "schema": _without_null(of_it),
        }
        if _without_null(of_it).get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        parameters.append(parameter)
    return parameters


def _range(name: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """`createdAt[gt]=...` is an object in the style deepObject."""
    return {
        "name": name,
        "in": "query",
        "style": "deepObject",
        "explode": True,
        "schema": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                bound: _without_null(of_it)
                for bound, of_it in schemas["Range"]["properties"].items()
            },
        },
    }


def _options(schema: dict[str, Any]) -> list[dict[str, Any]]:
    options: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return options


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query has no null: what may be left out is left out."""
    options = [item for item in _options(schema) if item.get("type") != "null"]
    rest = {
        name: value
        for name, value in schema.items()
        if name not in ("anyOf", "default", "title") or value is None
    }
    rest.pop("default", None)
    if len(options) == 1:
        return {**rest, **options[0]} if "anyOf" in schema else options[0]
    return {**rest, "anyOf": options}


def _resolved(ref: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    name = ref.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = schemas.get(name, ref)
    return found
