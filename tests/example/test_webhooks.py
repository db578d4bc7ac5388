"""What is changed at the sidecar counts in the demo at once."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import httpx

from example_project.welcome import FREE
from tests.example.application import PYTHON, Application, eventually, free_port

UPGRADE = """
mutation ($customer: String!) {
  provisionSubscription(
    input: {customerId: $customer, planId: "plan-revvenu-scale"}
  ) { status }
}
"""


def test_upgrade_at_the_sidecar_opens_the_page_at_once(home: Path) -> None:
    port, ports = free_port(), ("SIDECAR_PORT", "CONSOLE_PORT")
    env = {f"REVVENU_{name}": str(free_port()) for name in ports}
    command = [PYTHON, "-m", "example_project", "django"]
    demo = Application(
        command, home=home, port=port, env={**env, "REVVENU_PORT": str(port)}
    )
    try:
        demo.wait_until_it_serves()
        (console,) = re.findall(r"customers have at (http://[0-9.:]+):", demo.said)

        def reports() -> int:
            url, headers = f"{demo.url}/api/reports/", {"X-Customer": FREE}
            return httpx.get(url, headers=headers, timeout=30).status_code

        assert reports() == 402
        variables = {"customer": FREE}
        asked = {"query": UPGRADE, "variables": variables}
        answer = httpx.post(f"{console}/graphql", json=asked, timeout=30)
        assert "errors" not in answer.json()

        def states() -> list[str]:
            listed = httpx.get(f"{console}/local/webhooks", timeout=30).json()
            return [delivery["state"] for delivery in listed["deliveries"]]

        # The subscription that ends, the one that begins, and the entitlements of both.
        eventually(lambda: states() == ["delivered"] * 4, "the webhooks arrive")
        assert reports() == 200
        unknown = httpx.post(f"{demo.url}/webhooks/stigg/", json={}, timeout=30)
        assert unknown.status_code == 401
    finally:
        assert demo.stop(signal.SIGTERM) in (0, -signal.SIGTERM), demo.said
    assert "Traceback" not in demo.said
