"""The REST API in front of whatever its own OpenAPI document allows, and more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
import yaml
from hypothesis import event, given, settings

from tests.local.hostile.target import Target, bounded
from tests.local.management.conftest import CATALOG

schemathesis: Any = pytest.importorskip("schemathesis")

from tests.local.hostile.rest_cases import cases, catalog  # noqa: E402

EXPLORE: Final = "EXPLORE" in os.environ
# Of schemathesis: an answer has a status, a type and a shape that the document tells.
CHECKS: Final = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    )
]
NOT_SIMULATED: Final = 501
"""What the vendor's API can and the sidecar cannot; the document does not tell it."""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Serves products, plans and customers that can be changed."""
    folder = tmp_path_factory.mktemp("rest")
    file = folder / "catalog.yaml"
    file.write_text(yaml.safe_dump(catalog(CATALOG)))
    with Target(folder, "--catalog", str(file)) as target:
        yield target


def test_every_request_has_an_answer_of_the_document(target: Target) -> None:
    url = f"http://127.0.0.1:{target.http_port}"

    @given(cases())
    @settings(max_examples=5000 if EXPLORE else 150)
    def send(case: Any) -> None:
        answer = case.call(base_url=url, timeout=20)
        event(f"{case.method} {case.path} {answer.status_code}")
        if answer.status_code >= 400:
            assert answer.json()["message"]
        if answer.status_code != NOT_SIMULATED:
            assert answer.status_code < 500, answer.text
            case.validate_response(answer, checks=CHECKS)

    with bounded(target, megabytes=200 if EXPLORE else 60):
        send()
