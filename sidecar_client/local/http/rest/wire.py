"""What bodies, queries and answers of the REST API have in common.

Spelling (camelCase), envelopes and pages live here; the fields of things do not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
)
from pydantic.alias_generators import to_camel

from sidecar_client.local.management.pages import DEFAULT_LIMIT, MOST, Page, Turn
from sidecar_client.local.values import Moment

Value = TypeVar("Value")
Item = TypeVar("Item")


class Wire(BaseModel):
    """Something in JSON, whose names are in camelCase."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
    )


class Body(Wire):
    """The body of a request: JSON whose types are meant as they are written."""

    model_config = ConfigDict(strict=True)


class Query(Wire):
    """The query of a request, where everything is text at first."""


class NoBody(Body):
    """The body of a request that says nothing more."""


class NoQuery(Query):
    """The query of a request that takes none."""


class Data(Wire, Generic[Value]):
    """An answer: what was asked for, in its envelope."""

    data: Value


class Cursors(Wire):
    """What to ask for other pages of a list with."""

    next: str | None
    """To be given as `after`; null on the last page."""
    prev: str | None
    """To be given as `before`; null on the first page."""


class Listed(Wire, Generic[Item]):
    """A page of a list."""

    data: list[Item]
    pagination: Cursors


class Problem(Wire):
    """An error: what is wrong, and the cure."""

    status_code: int
    code: str
    message: str
    errors: list[str] | None = None


class Paged(Query):
    """Which page of a list is wanted."""

    after: str | None = None
    before: str | None = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = DEFAULT_LIMIT

    @property
    def turn(self) -> Turn:
        """The page, as the operations take it."""
        return Turn(after=self.after, before=self.before, limit=self.limit)


class Range(Query):
    """A range of times."""

    gt: Moment | None = None
    gte: Moment | None = None
    lt: Moment | None = None
    lte: Moment | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether a moment is in it."""
        return (
            (self.gt is None or moment > self.gt)
            and (self.gte is None or moment >= self.gte)
            and (self.lt is None or moment < self.lt)
            and (self.lte is None or moment <= self.lte)
        )


def listed(page: Page[Item]) -> Listed[Item]:
    """A page of a list as an answer."""
    return Listed(data=page.items, pagination=Cursors(next=page.next, prev=page.prev))


def _split(value: object) -> object:
    """`a,b` in a query is a list of two."""
    return value.split(",") if isinstance(value, str) else value


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


Many = Annotated[tuple[Value, ...], BeforeValidator(_split)]
"""Values that a query separates by commas."""
Time = Annotated[datetime, PlainSerializer(_written, return_type=str, when_used="json")]
"""A time in an answer."""
Money = Annotated[str, Field(pattern="^[a-z]{3}$")]
"""The code of a currency of money, such as `usd`."""
Anything = Annotated[JsonValue, Field(description="Kept and given back as it came.")]
"""What the sidecar has no use for."""
Ignored = Annotated[
    JsonValue, Field(description="Taken and ignored: the local sidecar bills nothing.")
]
"""What only billing has a use for."""
Kind = Literal["FEATURE", "CREDIT"]


def within(times: Range | None) -> Callable[[datetime], bool] | None:
    """Whether a moment is in a range; None where every one is."""
    return None if times is None else times.holds


def given(model: BaseModel, *names: str) -> dict[str, Any]:
    """The fields of these names that a body has, null or not."""
    fields = model.model_fields_set
    return {name: getattr(model, name) for name in names if name in fields}


def kept(model: BaseModel, *names: str) -> dict[str, JsonValue]:
    """The fields of these names that a body has, in JSON and by their names in it."""
    present = {name for name in names if name in model.model_fields_set}
    return model.model_dump(mode="json", by_alias=True, include=present)
