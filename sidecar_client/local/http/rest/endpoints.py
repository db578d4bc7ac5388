"""One endpoint: what it takes, what it answers, and how a request is led through it.

The table of endpoints is in the modules of their concepts; OpenAPI is made of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from starlette.datastructures import QueryParams
from starlette.responses import Response

from sidecar_client.local.http.parts import Parts
from sidecar_client.local.http.rest.statuses import misshapen, refused
from sidecar_client.local.http.rest.wire import Query
from sidecar_client.local.refusal import Refusal

BodyT = TypeVar("BodyT", bound=BaseModel)
QueryT = TypeVar("QueryT", bound=Query)
Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[BodyT, QueryT]):
    """A request that has the shape it must have."""

    parts: Parts
    path: Mapping[str, str]
    """The ids in its path, by their names."""
    body: BodyT
    query: QueryT


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Generic[BodyT, QueryT]):
    """A method of a path, and what carries it out."""

    method: Method
    path: str
    """Below `/api`, with ids in braces, such as `/v1/customers/{id}`."""
    name: str
    """Its name in the OpenAPI document, such as `provisionCustomer`."""
    summary: str
    handle: Callable[[Asked[BodyT, QueryT]], Awaitable[BaseModel]]
    body: type[BodyT]
    query: type[QueryT]
    answer: type[BaseModel]
    status: int = 200

    async def respond(
        self, parts: Parts, path: Mapping[str, str], query: QueryParams, body: bytes
    ) -> Response:
        """Carry a request out; what is wrong with it becomes an error's answer."""
        nested = _nested(query)
        try:
            asked_query = self.query.model_validate(nested)
        except ValidationError as invalid:
            return misshapen("query", invalid, nested)
        try:
            asked_body = self.body.model_validate_json(body or b"{}")
        except ValidationError as invalid:
            return misshapen("body", invalid, body)
        asked = Asked(parts=parts, path=path, body=asked_body, query=asked_query)
        try:
            answer = await self.handle(asked)
        except Refusal as refusal:
            return refused(refusal)
        text = answer.model_dump_json(by_alias=True)
        return Response(text, self.status, media_type="application/json")


AnyEndpoint = Endpoint[Any, Any]
_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[BaseModel]])


class Endpoints:
    """The endpoints of a module, made of the functions that carry them out.

    Name and summary are those of the function; what it takes and answers is told by its
    annotations: `Asked[Body, Query]` and the answer's model.
    """

    def __init__(self) -> None:
        self.all: list[AnyEndpoint] = []

    def get(self, path: str) -> Callable[[_Handler], _Handler]:
        """An endpoint that only reads."""
        return self._method("GET", path, 200)

    def post(self, path: str, *, status: int = 200) -> Callable[[_Handler], _Handler]:
        """An endpoint that makes something, or does something to it."""
        return self._method("POST", path, status)

    def patch(self, path: str) -> Callable[[_Handler], _Handler]:
        """An endpoint that changes something."""
        return self._method("PATCH", path, 200)

    def delete(self, path: str) -> Callable[[_Handler], _Handler]:
        """An endpoint that takes something away."""
        return self._method("DELETE", path, 200)

    def _method(
        self, method: Method, path: str, status: int
    ) -> Callable[[_Handler], _Handler]:
        def add(handle: _Handler) -> _Handler:
            hints = get_type_hints(handle)
            body, query = get_args(hints["asked"])
            self.all.append(
                Endpoint(
                    method=method,
                    path=path,
                    name=to_camel(handle.__name__),
                    summary=handle.__doc__ or "",
                    handle=handle,
                    body=body,
                    query=query,
                    answer=hints["return"],
                    status=status,
                )
            )
            return handle

        return add


def _nested(query: QueryParams) -> dict[str, Any]:
    """The query by names; `createdAt[gt]` is `gt` in `createdAt`."""
    found: dict[str, Any] = {}
    for name, value in query.multi_items():
        outer, bracket, inner = name.partition("[")
        if bracket and inner.endswith("]"):
            within = found.setdefault(outer, {})
            if isinstance(within, dict):
                within[inner[:-1]] = value
        else:
            found[name] = value
    return found
