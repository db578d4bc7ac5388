"""Requests that nobody sends in good faith: each has a clear answer, and no more."""

from __future__ import annotations

import os
from typing import Any, Final

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar_client.methods import METHODS, Method
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.hostile.messages import requests
from tests.local.hostile.target import Target, bounded

EACH_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
EXPLORE: Final = "EXPLORE" in os.environ
_REFUSALS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
}


def check_answer(target: Target, method: Method[Any, Any], payload: bytes) -> None:
    """It is an answer of the method, or a refusal that says what is wrong."""
    code, details, answer = target.call(method.path, payload)
    if code is grpc.StatusCode.OK:
        method.response.FromString(answer)
        return
    assert code in _REFUSALS, details
    assert details.isascii()
    assert details.endswith(".")
    assert len(details) <= 1000


@EACH_METHOD
def test_every_request_has_a_clear_answer(
    target: Target, method: Method[Any, Any]
) -> None:
    @given(payload=requests(method.request))
    def send(payload: bytes) -> None:
        check_answer(target, method, payload)

    with bounded(target, megabytes=200 if EXPLORE else 30):
        send()


@given(name=st.text(st.characters(codec="utf-8"), max_size=40))
def test_method_that_is_none_is_unimplemented(target: Target, name: str) -> None:
    path = f"/stigg.sidecar.v1.SidecarService/{name}".encode().decode("latin-1")
    if path.isprintable() and path.isascii():
        code, _, _ = target.call(path, b"")
        assert code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL)
    target.check_serves()


def test_what_is_refused_leaves_nothing_behind(target: Target) -> None:
    """Large requests, each another: 200 MB in all, of which nothing may stay."""
    for_customer = METHODS[0].path
    with bounded(target, megabytes=120):
        for number in range(20):
            huge = pb.GetEntitlementsRequest(customer_id=f"{number % 10}" * 10_000_000)
            code, details, _ = target.call(for_customer, huge.SerializeToString())
            assert code is grpc.StatusCode.INVALID_ARGUMENT
            assert "use at most 255" in details
