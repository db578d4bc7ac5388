"""Fallbacks: what is answered where no verdict can be computed.

Reading them, from JSON and from requests, lives here; when they answer is decided by
the service.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.identifiers import id_problem
from sidecar_client.local.json_text import NotJson, read_json
from sidecar_client.local.problem import Path
from sidecar_client.local.refusal import checked_number
from sidecar_client.local.shape import misshapen
from sidecar_client.local.shown import limited, printable, shown
from sidecar_client.local.values import FeatureType
from sidecar_client.protocol import sidecar_pb2 as pb

_NAME = "ENTITLEMENTS_FALLBACK"
_EXAMPLE = '{"feature-1": {"hasAccess": true, "usageLimit": 1000}}'
_SHOWN = 20
_MOST_STEP = 80


class Fallback(BaseModel):
    """What to answer about one feature. Its keys are in camel case, as in JSON."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        allow_inf_nan=False,
        extra="forbid",
        frozen=True,
        strict=True,
    )

    has_access: bool
    value: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    usage_limit: Annotated[float, Field(ge=0)] | None = None
    is_unlimited: bool = False
    enum_values: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def kind(self) -> FeatureType:
        """The type that it tells about, for a question that names none."""
        if self.value is not None:
            return "numeric"
        if self.enum_values:
            return "enum"
        if self.usage_limit is not None or self.is_unlimited:
            return "metered"
        return "boolean"


Fallbacks = Mapping[str, Fallback]
"""By the ids of features."""
FallbackSource = str | Mapping[str, object] | None
_ALL: TypeAdapter[dict[str, Fallback]] = TypeAdapter(dict[str, Fallback])


def parse_fallbacks(text: str) -> Fallbacks:
    """The fallbacks in the JSON of `ENTITLEMENTS_FALLBACK`, which can be empty.

    Raises `ConfigurationError` that lists every problem with its cure.
    """
    return load_fallbacks(text)


def load_fallbacks(source: FallbackSource) -> Fallbacks:
    """The fallbacks in JSON text, or in what such a text says, or none."""
    if source is None or (isinstance(source, str) and not source.strip()):
        return {}
    told = _read(source) if isinstance(source, str) else dict(source)
    if not isinstance(told, dict):
        raise ConfigurationError(
            f"{_NAME} is {shown(told)}; use an object such as {_EXAMPLE}"
        )
    data = cast("dict[object, object]", told)
    ids = [id_problem("feature", name) for name in data if isinstance(name, str)]
    if problems := [problem for problem in ids if problem]:
        _refuse(problems)
    try:
        return _ALL.validate_python(data)
    except ValidationError as error:
        _refuse(list(_problems(error, data)))
        raise


def requested_fallback(message: _Requested) -> Fallback:
    """The fallback that a request carries."""
    value, unlimited = None, False
    if isinstance(message, pb.GetEntitlementFallback | pb.NumericEntitlementFallback):
        value = message.value if message.HasField("value") else None
    if not isinstance(
        message, pb.BooleanEntitlementFallback | pb.EnumEntitlementFallback
    ):
        unlimited = message.is_unlimited
    values: tuple[str, ...] = ()
    if isinstance(message, pb.GetEntitlementFallback | pb.EnumEntitlementFallback):
        values = tuple(message.enum_values)
    return Fallback.model_construct(
        has_access=message.has_access,
        value=value,
        usage_limit=_limit(message),
        is_unlimited=unlimited,
        enum_values=values,
    )


def _limit(message: _Requested) -> float | None:
    if isinstance(
        message, pb.GetEntitlementFallback | pb.MeteredEntitlementFallback
    ) and message.HasField("usage_limit"):
        where = "options.fallback.usage_limit"
        return checked_number(where, message.usage_limit, least=0)
    return None


_Requested = (
    pb.GetEntitlementFallback
    | pb.BooleanEntitlementFallback
    | pb.NumericEntitlementFallback
    | pb.MeteredEntitlementFallback
    | pb.EnumEntitlementFallback
)


def _read(text: str) -> object:
    try:
        return read_json(text, pairs=_once, constant=_refuse_number)
    except NotJson as error:
        raise ConfigurationError(
            f"{_NAME} is no JSON: {error}; use an object such as {_EXAMPLE}"
        ) from None


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of a key that is written twice, JSON would silently take the last."""
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            _refuse([f"{shown(name)} is written twice; write it once"])
        found[name] = value
    return found


def _refuse_number(name: str) -> object:
    raise ConfigurationError(f"{_NAME}: {name} is no number; use a finite one")


def _problems(error: ValidationError, data: object) -> Iterator[str]:
    for problem in misshapen(error, data):
        where = _spelled(problem.path)
        yield f"{where}: {problem.message}" if where else problem.message


def _spelled(path: Path) -> str:
    return ".".join(limited(str(step), _MOST_STEP) for step in path)


def _refuse(problems: list[str]) -> None:
    """Raise one error that lists the problems."""
    lines = problems[:_SHOWN]
    if len(problems) > _SHOWN:
        lines.append(f"... and {len(problems) - _SHOWN} more")
    raise ConfigurationError("\n".join(printable(f"{_NAME}: {line}") for line in lines))
