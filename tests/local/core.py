"""Asking the pure core about a catalog that is written in a test.

Only what several test modules share lives here; nothing is served.
"""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel

from sidecar_client.local.catalog import Catalog, CatalogIndex
from sidecar_client.local.evaluation import Standing, Subject, Verdict, judge, standing
from sidecar_client.local.loading import load_catalog
from sidecar_client.local.records import Usage

NOW = datetime(2023, 12, 1, tzinfo=UTC)
FEATURES: list[dict[str, object]] = [
    {"id": "calls", "type": "metered", "meter": "incremental"},
    {"id": "seats", "type": "metered", "meter": "fluctuating"},
    {"id": "sso", "type": "boolean"},
    {"id": "size", "type": "numeric"},
    {"id": "export", "type": "enum", "values": ["csv", "xlsx", "pdf"]},
]


class Core:
    """A catalog of the features above, with one customer `c`, and its usage."""

    def __init__(
        self,
        plans: list[dict[str, object]],
        *,
        addons: list[dict[str, object]] | None = None,
        features: list[dict[str, object]] | None = None,
        now: datetime = NOW,
        **customer: object,
    ) -> None:
        self.catalog: Catalog = load_catalog(
            {
                "features": FEATURES if features is None else features,
                "plans": plans,
                "addons": addons or [],
                "customers": [{"id": "c", **customer}],
            }
        )
        self.index = CatalogIndex.of(self.catalog)
        self.now = now
        self.records: dict[str, BaseModel | None] = {}

    def standing(self, feature_id: str, resource_id: str | None = None) -> Standing:
        """Where the customer, or a resource of it, stands with a feature."""
        subject = Subject(customer_id="c", resource_id=resource_id)
        (customer,) = self.catalog.customers
        return standing(self.index, customer, subject, feature_id, self.now)

    def use(
        self, feature_id: str, total: float, resource_id: str | None = None
    ) -> None:
        """Let the counter of a feature show a total."""
        counter = self.standing(feature_id, resource_id).counter
        assert counter is not None
        self.records[counter.name] = Usage(total=total)

    def verdict(
        self,
        feature_id: str,
        resource_id: str | None = None,
        *,
        usage: float | None = None,
        values: tuple[str, ...] = (),
    ) -> Verdict:
        """The verdict on a feature."""
        return judge(
            self.standing(feature_id, resource_id),
            self.records,
            requested_usage=usage,
            requested_values=values,
        )

    def said(self, feature_id: str, resource_id: str | None = None) -> object:
        """What is granted, in short; or why it is not."""
        found = self.standing(feature_id, resource_id)
        if found.grant is None:
            return found.reason
        assert found.feature is not None
        granted = found.grant.entitlement
        if granted.unlimited:
            return "unlimited"
        match found.feature.type:
            case "boolean":
                return True
            case "numeric":
                return granted.value
            case "metered":
                return granted.limit
            case "enum":
                return found.values

    def won(self, feature_id: str, resource_id: str | None = None) -> list[str]:
        """The kinds and ids of what made up the winner."""
        grant = self.standing(feature_id, resource_id).grant
        assert grant is not None
        return [f"{source.kind} {source.id}" for source in grant.sources]
