"""How denials look in an OpenAPI document: their statuses, their schema.

Where an operation's guards are found is the adapters' business. RFC 9457 names what a
problem document has; `denial` fills it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from itertools import product
from typing import Any, Final

from stigg_guard.decision import Decision, Reason
from stigg_guard.denial import PROBLEM_TYPE, TABLE, DenialPolicy
from stigg_guard.requirement import Requirement, leaves
from stigg_guard.view import OnDenied, ViewSpec

SCHEMA_NAME: Final = "AccessDeniedProblem"
"""The name of the schema where a document has it among its components."""

_REASONS: Final = tuple(reason for reason in TABLE if reason is not Reason.PREFLIGHT)

_DESCRIPTIONS: Final = {
    401: "The request does not belong to an account.",
    402: "The customer's plan does not allow this; paying for more would help.",
    403: "The customer may not do this.",
    503: "Whether the customer may do this could not be checked just now.",
}


def problem_schema() -> dict[str, Any]:
    """The JSON Schema of a denial's problem document."""
    text, number = {"type": "string"}, {"type": "number"}
    return {
        "title": SCHEMA_NAME,
        "type": "object",
        "required": ["type", "title", "status", "detail", "reason"],
        "properties": {
            "type": {"type": "string", "format": "uri-reference"},
            "title": {**text},
            "status": {"type": "integer"},
            "detail": {**text},
            "reason": {"type": "string", "enum": [str(each) for each in _REASONS]},
            "feature_id": {**text},
            "currency_id": {**text},
            "requested_usage": {**number},
            "current_usage": {**number},
            "usage_limit": {**number},
            "resets_at": {"type": "string", "format": "date-time"},
            "upgrade_url": {"type": "string", "format": "uri-reference"},
        },
    }


def denied_responses(
    specs: Iterable[ViewSpec],
    policy: DenialPolicy | None = None,
    *,
    on_denied: OnDenied | None = None,
    schema: Mapping[str, Any] | None = None,
) -> dict[str, dict[str, Any]]:
    """The responses of an operation with these guards when it is denied, by status.

    `policy` and `on_denied` are the application's. `schema` stands for the problem
    document: a `$ref`, where the document has it among its components. What a function
    of the application answers is described without a schema: nobody knows it.
    """
    policy = policy or DenialPolicy()
    found: dict[int, dict[str, Any]] = {}
    for status, is_own in _statuses(specs, policy, on_denied):
        if status not in found or not is_own:
            found[status] = _response(status, schema, is_own=is_own)
    return {str(status): found[status] for status in sorted(found)}


def _statuses(
    specs: Iterable[ViewSpec], policy: DenialPolicy, on_denied: OnDenied | None
) -> Iterator[tuple[int, bool]]:
    """The statuses of denials, and whether a function of the application answers."""
    needed = [
        (spec, leaf) for spec in specs if not spec.shadow for leaf in leaves(spec.need)
    ]
    for (spec, leaf), reason in product(needed, _REASONS):
        decision = _denied(leaf, reason)
        nearest = policy.nearest(decision, spec.on_denied)
        wanted = on_denied if nearest is None else nearest
        yield policy.status(decision, wanted), callable(wanted)


def _denied(requirement: Requirement, reason: Reason) -> Decision:
    return Decision(
        allowed=False,
        requirement=requirement,
        subject=None,
        reason=reason,
        source="guard",
    )


def _response(
    status: int, schema: Mapping[str, Any] | None, *, is_own: bool
) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": _DESCRIPTIONS.get(status, "The customer may not do this.")
    }
    if is_own:
        return response
    response["content"] = {PROBLEM_TYPE: {"schema": dict(schema or problem_schema())}}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        response["headers"] = {
            "Retry-After": {
                "description": "Seconds after which to try again.",
                "schema": {"type": "integer"},
            }
        }
    return response
