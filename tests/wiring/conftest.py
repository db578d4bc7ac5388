"""The wiring tests' sidecar: the demo catalog behind a real server."""

from tests.integrations.conftest import sidecar as sidecar
