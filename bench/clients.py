"""The clients that are compared, each as one function that makes one check.

Each is made in its own process, by `client_worker`, which drives it and then ends
`until`, and with it the connection.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from bench.question import CUSTOMER, DEADLINE, FEATURE, METHOD, REQUEST, RESOURCE

AsyncCheck: TypeAlias = Callable[[], Awaitable[bool]]
Check: TypeAlias = Callable[[], bool]

VENDOR_CODE: Final = Path(__file__).resolve().parent.parent / "build/bench/vendor"
"""Where `vendor_code` puts what betterproto generates from our own proto."""

_vendor_request: Any = None


def stigg(target: str, until: AsyncExitStack) -> AsyncCheck:
    """Our asyncio client, as a user calls it."""
    from sidecar_client import GetEntitlementRequest, Stigg

    client = Stigg(target=target, timeout=DEADLINE)
    until.push_async_callback(client.aclose)

    async def check() -> bool:
        request = GetEntitlementRequest(
            customer_id=CUSTOMER, feature_id=FEATURE, resource_id=RESOURCE
        )
        return (await client.get_entitlement(request)).has_access

    return check


def sync_stigg(target: str, until: ExitStack) -> Check:
    """Our synchronous client, as a user calls it."""
    from sidecar_client import GetEntitlementRequest, SyncStigg

    client = SyncStigg(target=target, timeout=DEADLINE)
    until.callback(client.close)

    def check() -> bool:
        request = GetEntitlementRequest(
            customer_id=CUSTOMER, feature_id=FEATURE, resource_id=RESOURCE
        )
        return client.get_entitlement(request).has_access

    return check


def raw_aio(target: str, until: AsyncExitStack) -> AsyncCheck:
    """grpc.aio with the same channel options, passing the same bytes unread."""
    import grpc.aio

    from sidecar_client.grpc_channel import channel_options

    options = channel_options(round_robin=False)
    channel: Any = grpc.aio.insecure_channel(target, options=options)
    until.push_async_callback(channel.close)
    call = channel.unary_unary(METHOD)

    async def check() -> bool:
        return bool(await call(REQUEST, timeout=DEADLINE))

    return check


def raw_sync(target: str, until: ExitStack) -> Check:
    """Synchronous grpcio with the same channel options, passing bytes unread."""
    import grpc

    from sidecar_client.grpc_channel import channel_options

    options = channel_options(round_robin=False)
    channel: Any = grpc.insecure_channel(target, options=options)
    until.callback(channel.close)
    call = channel.unary_unary(METHOD)

    def check() -> bool:
        return bool(call(REQUEST, timeout=DEADLINE))

    return check


def vendor_stub(target: str) -> Any:
    """A grpclib channel to the target and betterproto's stub on it.

    It belongs to the running loop; close `stub.channel`.
    """
    sys.path[:0] = [] if str(VENDOR_CODE) in sys.path else [str(VENDOR_CODE)]
    # Of the bench's own environment, and generated into it.
    channel: Any = import_module("grpclib.client").Channel
    stub: Any = import_module("stigg.sidecar.v1").SidecarServiceStub
    host, _, port = target.rpartition(":")
    return stub(channel(host, int(port)))


def vendor_question(customer: str) -> Any:
    """The question as betterproto's message."""
    global _vendor_request
    if _vendor_request is None:
        _vendor_request = import_module("stigg.sidecar.v1").GetEntitlementRequest
    return _vendor_request(
        customer_id=customer, feature_id=FEATURE, resource_id=RESOURCE
    )


def vendor(target: str, until: AsyncExitStack) -> AsyncCheck:
    """The vendor's stack: grpclib, betterproto, and its own default of no deadline."""
    stub = vendor_stub(target)
    until.callback(stub.channel.close)

    async def check() -> bool:
        answer = await stub.get_entitlement(vendor_question(CUSTOMER))
        return bool(answer.has_access)

    return check


ASYNC: Final[dict[str, Callable[[str, AsyncExitStack], AsyncCheck]]] = {
    "vendor": vendor,
    "Stigg": stigg,
    "raw aio": raw_aio,
}
SYNC: Final[dict[str, Callable[[str, ExitStack], Check]]] = {
    "SyncStigg": sync_stigg,
    "raw sync": raw_sync,
}
NAMES: Final = (*ASYNC, *SYNC)
