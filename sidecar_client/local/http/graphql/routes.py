"""`POST /graphql`: a document in, data and errors out, as GraphQL over HTTP has it.

Limits and errors of requests live here; what the fields do is in `operations`.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationType,
    execute,  # pyright: ignore[reportUnknownVariableType] (its annotations are open)
    get_operation_ast,
    parse,
    validate,
)
from graphql.language import DocumentNode, OperationDefinitionNode
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.local.http.answers import model_of
from sidecar_client.local.http.graphql.asked import fields_asked
from sidecar_client.local.http.graphql.operations import Operations
from sidecar_client.local.http.graphql.schema import schema
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.refusal import Refusal
from sidecar_client.local.shown import limited, printable
from sidecar_client.local.stores.base import StoreError

logger = logging.getLogger("sidecar_client.local")
MOST_TOKENS = 10_000
MOST_FIELDS = 50
"""How many fields of `Query` or `Mutation` one operation may ask for, fragments
included."""
_MOST_ERRORS = 20
_CONSTANTS = {"True": "true", "False": "false", "None": "null"}
_CONSTANT = re.compile(r"(?<!['\"\w])(?:True|False|None)(?!['\"\w])")
_ABORTED = "Validation aborted."
"""What newer versions of the library say of a recursion that is too deep."""
_MOST_MESSAGE = 1000


class Posted(BaseModel):
    """A document, and what goes with it."""

    model_config = ConfigDict(extra="ignore")

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None


def routes(parts: Parts) -> list[BaseRoute]:
    """The one place that GraphQL is posted to."""
    fields = Operations(parts.world, parts.service).fields()

    async def post(request: Request) -> Response:
        posted = await model_of(request, Posted)
        try:
            document = _document(posted)
        except _Unfit as unfit:
            return JSONResponse({"errors": unfit.errors}, 400)
        result = execute(
            schema(),
            document,
            root_value=fields,
            variable_values=posted.variables,
            operation_name=posted.operationName,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        return _answer(result)

    return [Route("/graphql", post, methods=["POST"])]


class _Unfit(Exception):
    """A document that is not carried out."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(f"{len(errors)} errors")
        self.errors = [_told(error) for error in errors[:_MOST_ERRORS]]


def _document(posted: Posted) -> DocumentNode:
    try:
        document = parse(posted.query, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        raise _Unfit([error]) from None
    except RecursionError:
        raise _too_deep() from None
    operation = get_operation_ast(document, posted.operationName)
    if operation is not None:
        # Before it is validated, which takes long for very many fields.
        _check_fields(document, operation)
    _validate(document)
    if operation is None:
        raise _Unfit(
            [
                GraphQLError(
                    "The document has no operation to carry out; name one of them "
                    "with operationName."
                )
            ]
        )
    if operation.operation is OperationType.SUBSCRIPTION:
        raise _Unfit([GraphQLError("Subscriptions are not served here.")])
    return document


def _check_fields(document: DocumentNode, operation: OperationDefinitionNode) -> None:
    asked = fields_asked(document, operation)
    if asked > MOST_FIELDS:
        told = f"The operation asks for {asked} fields"
        cure = f"ask for at most {MOST_FIELDS} at a time"
        raise _Unfit([GraphQLError(f"{told}; {cure}.")])


def _validate(document: DocumentNode) -> None:
    try:
        errors = validate(schema(), document, max_errors=_MOST_ERRORS)
    except RecursionError:
        raise _too_deep() from None
    if any(error.message == _ABORTED for error in errors):
        raise _too_deep()
    if errors:
        raise _Unfit(errors)


def _too_deep() -> _Unfit:
    return _Unfit([GraphQLError("The document is nested too deeply; flatten it.")])


def _answer(result: ExecutionResult) -> Response:
    body: dict[str, object] = {"data": result.data}
    status = 200
    if result.errors:
        body["errors"] = [_told(error) for error in result.errors[:_MOST_ERRORS]]
        if any(_is_outage(error.original_error) for error in result.errors):
            status = 503
    return JSONResponse(body, status)


def _is_outage(cause: Exception | None) -> bool:
    """Whether the store does not answer, in the words of either."""
    is_refused = isinstance(cause, Refusal) and cause.code == "UNAVAILABLE"
    return is_refused or isinstance(cause, StoreError)


def _in_json(message: str) -> str:
    """The library writes values as Python does; what is quoted is text, and stays."""
    return _CONSTANT.sub(lambda found: _CONSTANTS[found[0]], message)


def _told(error: GraphQLError) -> dict[str, object]:
    """An error with a code; what went wrong inside is for the log alone."""
    told: dict[str, object] = {**error.formatted}
    cause = error.original_error
    code, message = "GRAPHQL_VALIDATION_FAILED", error.message
    if isinstance(cause, StoreError):
        logger.warning("GraphQL: %s", cause)
        code = "UNAVAILABLE"
    elif isinstance(cause, Refusal):
        code = cause.code
    elif cause is not None and not isinstance(cause, GraphQLError):
        logger.error("GraphQL failed", exc_info=cause)
        code = "INTERNAL"
        message = "This failed inside the local sidecar; its log says why."
    else:
        message = _in_json(message)
    told["message"] = limited(printable(message), _MOST_MESSAGE)
    told["extensions"] = {"code": code}
    return told
