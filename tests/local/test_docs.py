"""The catalog that the documentation shows is fine and says what its comments say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.local.schema import catalog_schema
from tests.local.wire import Clock, check

PAGE = Path(__file__).parents[2] / "docs" / "catalog.md"


def shown() -> list[str]:
    """The files of the catalog that the page shows."""
    return re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def test_catalog_of_the_documentation_is_served(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(shown()[0])
    clock = Clock(datetime(2026, 6, 3, tzinfo=UTC))
    with LocalSidecar(path, clock=clock) as sidecar:

        def site(feature: str, usage: float | None = None) -> str | None:
            return check(
                sidecar, feature, customer_id="acme", resource_id="site-1", usage=usage
            )

        assert site("custom-domain") is None
        assert site("seats") == "REQUESTED_USAGE_EXCEEDING_LIMIT"
        assert site("api-calls", 300) is None
        assert site("api-calls", 301) == "REQUESTED_USAGE_EXCEEDING_LIMIT"
        assert site("exports", 11) is None
        assert check(sidecar, "seats", customer_id="acme") is None
        assert check(sidecar, "custom-domain", customer_id="acme") == "REVOKED"
        assert check(sidecar, "seats", customer_id="old-customer") == (
            "CUSTOMER_IS_ARCHIVED"
        )


def test_problem_of_the_documentation_is_told_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(
        shown()[0].replace("      seats: {limit: 5} ", "      seat: {limit: 5} ")
    )
    (line,) = re.findall(
        r"^plans\.yaml(:\d+: plans.*: )\.\.\.$", PAGE.read_text(), re.M
    )
    with pytest.raises(ConfigurationError, match=re.escape(line)):
        load_catalog(path)


def test_catalog_of_all_the_page_is_served(tmp_path: Path) -> None:
    for number, text in enumerate(shown()):
        (tmp_path / f"{number}.yaml").write_text(text)
    clock = Clock(datetime(2026, 6, 3, tzinfo=UTC))
    with LocalSidecar(tmp_path, clock=clock) as sidecar:

        def bee(usage: float, resource: str | None = None) -> str | None:
            return check(
                *(sidecar, "storage"),
                customer_id="bee",
                resource_id=resource,
                usage=usage,
            )

        assert [bee(15), bee(16)] == [None, "REQUESTED_USAGE_EXCEEDING_LIMIT"]
        assert [bee(200, "hive"), bee(201, "hive")] == [
            *(None, "REQUESTED_USAGE_EXCEEDING_LIMIT")
        ]
        assert check(sidecar, "custom-domain", customer_id="bee") is None
        assert check(sidecar, "answers", customer_id="cee", usage=70) is None
        assert check(sidecar, "answers", customer_id="cee", usage=71) == (
            "INSUFFICIENT_CREDITS"
        )


def test_page_names_every_field_that_a_catalog_has() -> None:
    page = PAGE.read_text("utf-8")
    fields = {
        field
        for model in (*catalog_schema()["$defs"].values(), catalog_schema())
        for field in model.get("properties", {})
    }
    missing = [name for name in fields if not re.search(rf"\b{name}\b", page)]
    assert not missing
