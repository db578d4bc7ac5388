"""The catalog that the documentation shows is fine and says what its comments say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, load_catalog
from tests.local.wire import Clock, check

PAGE = Path(__file__).parents[2] / "docs" / "local-sidecar.md"


def shown() -> str:
    """The catalog that the page shows."""
    (catalog,) = re.findall(
        r"^```yaml\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S
    )
    return str(catalog)


def test_catalog_of_the_documentation_is_served(tmp_path: Path) -> None:
    path = tmp_path / "plans.yaml"
    path.write_text(shown())
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
        shown().replace("      seats: {limit: 5} ", "      seat: {limit: 5} ")
    )
    (line,) = re.findall(
        r"^plans\.yaml(:\d+: plans.*: )\.\.\.$", PAGE.read_text(), re.M
    )
    with pytest.raises(ConfigurationError, match=re.escape(line)):
        load_catalog(path)
