"""Who a request acts for: a customer and, where the product has them, a resource.

How a request is turned into a subject is the adapters' and `view`'s concern.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """The customer, and optionally the resource, that a request acts for.

    Ids are the vendor's: 1 to 255 characters, checked in full by the sidecar. Here an
    empty id or another type raises `ValueError`.
    """

    customer_id: str
    resource_id: str | None = None

    def __post_init__(self) -> None:
        _check_id("customer_id", self.customer_id)
        if self.resource_id is not None:
            _check_id("resource_id", self.resource_id)


def _check_id(name: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise ValueError(
            f"Subject.{name} is {value!r}; give an id as a non-empty string,"
            ' such as "customer-demo-01".'
        )


def checked_subject(found: object) -> Subject:
    """Who is meant; a string is the id of a customer."""
    if isinstance(found, Subject):
        return found
    if isinstance(found, str) and found:
        return Subject(found)
    raise ValueError(
        f"the subject is {found!r}; give a Subject or a customer's id, such as"
        ' "customer-demo-01".'
    )
