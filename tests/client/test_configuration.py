"""What the clients can be built with; every wrong argument has one clear error."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar_client import (
    ApiConfig,
    ConfigurationError,
    LocalSidecarConfig,
    Stigg,
    SyncStigg,
)

CLIENTS = pytest.mark.parametrize("client", [Stigg, SyncStigg])


@CLIENTS
@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        ({"target": "127.0.0.1:8080"}, "127.0.0.1:8080"),
        ({"target": "[::1]:8080"}, "[::1]:8080"),
        ({"target": "sidecar.svc:1"}, "sidecar.svc:1"),
        ({"target": "unix:/run/sidecar.sock"}, "unix:/run/sidecar.sock"),
        ({"target": "dns:///sidecar.svc:80"}, "dns:///sidecar.svc:80"),
        ({"remote_sidecar_host": "localhost"}, "localhost:80"),
        ({"remote_sidecar_host": "::1", "remote_sidecar_port": 81}, "[::1]:81"),
        ({}, "127.0.0.1:8443"),
        ({"local_sidecar_port": 9000}, "127.0.0.1:9000"),
        (
            {"local_sidecar_config": LocalSidecarConfig(), "remote_sidecar_host": "h"},
            "127.0.0.1:8443",
        ),
    ],
)
def test_target_is_what_was_asked_for(
    client: type[Stigg | SyncStigg], arguments: dict[str, Any], target: str
) -> None:
    assert client(ApiConfig(api_key="k"), **arguments).target == target


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"target": "localhost"}, "target is 'localhost'; use \"host:port\""),
    ({"target": "http://localhost:80"}, "target is 'http://localhost:80'; use"),
    ({"target": ""}, "target is ''; use"),
    ({"target": 80}, "target is 80; use"),
    ({"target": "localhost:0"}, "use a port from 1 to 65535"),
    ({"target": "localhost:65536"}, "use a port from 1 to 65535"),
    ({"target": "localhost:\u0668\u0660"}, 'use "host:port"'),
    ({"remote_sidecar_host": "h:\u0668", "remote_sidecar_port": 80}, "use a host name"),
    ({"target": "localhost:" + "9" * 5000}, 'use "host:port"'),
    ({"target": "::1:80"}, "target is '::1:80'; use"),
    ({"target": "unix:"}, "target is 'unix:'; name the socket"),
    ({"target": "unix:/" + "a" * 107}, "at most 107 bytes"),
    ({"target": "dns:///localhost"}, "target is 'dns:///localhost'; use"),
    ({"target": "a:1", "remote_sidecar_host": "b"}, "give either target or"),
    ({"target": "a:1", "remote_sidecar_port": 2}, "give either target or"),
    ({"remote_sidecar_host": ""}, "remote_sidecar_host is ''; use a host name"),
    ({"remote_sidecar_host": "http://h"}, "without scheme, port and path"),
    ({"remote_sidecar_host": "h:80"}, "remote_sidecar_host is 'h:80'; use"),
    ({"remote_sidecar_host": "h", "remote_sidecar_port": 0}, "remote_sidecar_port is"),
    (
        {"remote_sidecar_host": "h", "remote_sidecar_port": "80"},
        "is '80'; use a number",
    ),
    (
        {"remote_sidecar_host": "h", "remote_sidecar_port": True},
        "is True; use a number",
    ),
    ({"remote_sidecar_port": 80}, "there is no remote_sidecar_host; add it"),
    ({"local_sidecar_port": -1}, "local_sidecar_port is -1; use a number"),
    ({"target": "a:1", "local_sidecar_catalog": "c.yaml"}, "a remote sidecar is used"),
    ({"timeout": 0}, "timeout is 0; use a number of seconds above 0"),
    ({"timeout": float("nan")}, "timeout is nan; use"),
    ({"timeout": float("inf")}, "timeout is inf; use"),
    ({"timeout": "1"}, "timeout is '1'; use"),
    ({"timeout": True}, "timeout is True; use"),
    ({"timeout": 9e9}, "timeout is 9000000000.0; use a number of seconds above 0"),
    ({"timeout": 86_401}, "and at most 86400."),
    ({"write_timeout": 10**400}, "and at most 86400."),
    ({"write_timeout": -1}, "write_timeout is -1; use"),
    ({"max_in_flight": 0}, "max_in_flight is 0; use a whole number from 1"),
    ({"max_in_flight": 1.5}, "max_in_flight is 1.5; use a whole number from 1"),
    ({"target": "a:1", "root_certificates": b"x"}, "1 bytes without a PEM certificate"),
    ({"target": "a:1", "root_certificates": "ca.pem"}, "is 'ca.pem' without a PEM"),
    ({"root_certificates": b"x"}, "the local sidecar speaks no TLS"),
    ({"api_config": "key"}, "api_config is 'key'; use the ApiConfig of sidecar_client"),
    ({"local_sidecar_config": {}}, "use the LocalSidecarConfig of sidecar_client"),
]


@CLIENTS
@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_argument_is_refused_by_name_value_and_cure(
    client: type[Stigg | SyncStigg], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        client(**arguments)
    assert message in str(raised.value)
