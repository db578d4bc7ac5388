"""Headers that tell a client of its limits: off by default, in every framework.

How a denial looks is in `guarding`.
"""

from __future__ import annotations

import pytest

from sidecar_client.local import LocalSidecar
from stigg_guard.testing.contract.client import BehaviourClient
from stigg_guard.testing.contract.fixtures import Build
from stigg_guard.testing.contract.routes import AT_LIMIT, WITHIN


@pytest.fixture
def telling(build: Build, sidecar: LocalSidecar) -> BehaviourClient:
    """The application with the headers that many APIs send."""
    return build(target=sidecar.target, timeout=5, rate_limit_headers="x-ratelimit")


def told(client: BehaviourClient, path: str, customer: str = WITHIN) -> tuple[str, ...]:
    headers = client.post(path, customer).headers
    return tuple(headers.get(f"x-ratelimit-{name}", "") for name in LEGACY)


LEGACY = ("limit", "remaining")


def test_nothing_is_told_by_default(client: BehaviourClient) -> None:
    assert told(client, "/templates") == ("", "")
    assert "ratelimit" not in client.post("/templates", WITHIN).headers


def test_metered_view_tells_what_remains_after_it(telling: BehaviourClient) -> None:
    assert told(telling, "/templates") == ("6", "2")
    assert told(telling, "/templates") == ("6", "1")


def test_usage_that_the_view_says_is_told(telling: BehaviourClient) -> None:
    assert told(telling, "/templates?use=2") == ("6", "1")
    assert told(telling, "/total") == ("6", "1")


def test_failed_view_uses_nothing(telling: BehaviourClient) -> None:
    assert told(telling, "/templates?status=400") == ("6", "3")


def test_two_decorators_on_a_feature_add_up(telling: BehaviourClient) -> None:
    assert told(telling, "/pair") == ("6", "1")
    assert told(telling, "/plain") == ("", "")


def test_denial_tells_that_nothing_remains(telling: BehaviourClient) -> None:
    assert told(telling, "/templates", AT_LIMIT) == ("6", "0")


def test_feature_without_a_limit_tells_nothing(telling: BehaviourClient) -> None:
    assert told(telling, "/domain") == ("", "")
    assert telling.post("/templates", "customer-nobody-knows").status == 403


def test_header_that_the_view_set_stays(telling: BehaviourClient) -> None:
    assert told(telling, "/templates?limit=mine") == ("mine", "2")


def test_fields_of_the_standard_tell_of_every_feature(
    build: Build, sidecar: LocalSidecar
) -> None:
    client = build(target=sidecar.target, timeout=5, rate_limit_headers="ietf")
    headers = client.post("/templates", WITHIN).headers
    assert headers["ratelimit-policy"] == '"feature-01-templates";q=6'
    assert headers["ratelimit"].startswith('"feature-01-templates";r=2')


def test_names_are_as_the_application_wants(
    build: Build, sidecar: LocalSidecar
) -> None:
    names = {"remaining": "X-Templates-Left"}
    client = build(target=sidecar.target, timeout=5, rate_limit_headers=names)
    assert client.post("/templates", WITHIN).headers["x-templates-left"] == "2"
