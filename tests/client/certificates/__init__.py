"""Certificates for the tests of TLS: self-signed, worth nothing, valid for a century.

`localhost` and `other` name the loopback, `elsewhere` names `sidecar.example`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that is its own authority, with its key."""

    pem: bytes
    key: bytes

    @classmethod
    def named(cls, name: str) -> Certificate:
        folder = Path(__file__).parent
        return cls(
            pem=folder.joinpath(f"{name}.pem").read_bytes(),
            key=folder.joinpath(f"{name}.key").read_bytes(),
        )

    @property
    def server(self) -> grpc.ServerCredentials:
        return grpc.ssl_server_credentials([(self.key, self.pem)])
