"""What an example prints before it serves: where it listens and what to try.

Every command that is printed works as it is, and answers with the status beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ESSENTIALS: Final = "customer-demo-01"
FREE: Final = "customer-demo-02"
ARCHIVED: Final = "customer-demo-03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A request to type, and the status it is answered with."""

    path: str
    customer: str
    status: int
    options: str = ""

    def command(self, base: str) -> str:
        """One line for a shell."""
        options = f" {self.options}" if self.options else ""
        return f"curl -i{options} -H 'X-Customer: {self.customer}' {base}{self.path}"


_NAMED: Final = '-d \'{"name": "Spring sale"}\''
_DATA: Final = "-d 'some bytes'"

_ROUTES: Final = (
    Try(path="/domain", customer=ESSENTIALS, status=200),
    Try(path="/domain", customer=FREE, status=402),
    Try(path="/domain", customer=ARCHIVED, status=403),
    Try(path="/templates", customer=ESSENTIALS, status=201, options="-X POST"),
    Try(path="/templates", customer=FREE, status=402, options="-X POST"),
    Try(path="/uploads", customer=ESSENTIALS, status=201, options=_DATA),
    Try(path="/uploads", customer=FREE, status=402, options=_DATA),
)

TO_TRY: Final[Mapping[str, tuple[Try, ...]]] = {
    "django": (
        Try(path="/api/reports/", customer=ESSENTIALS, status=200),
        Try(path="/api/reports/", customer=FREE, status=402),
        Try(path="/api/reports/", customer=ARCHIVED, status=403),
        Try(path="/api/templates/", customer=ESSENTIALS, status=201, options=_NAMED),
        Try(path="/api/templates/", customer=FREE, status=402, options=_NAMED),
    ),
    "flask": _ROUTES,
    "fastapi": _ROUTES,
}


def welcome(framework: str, base: str, sidecar: str, console: str | None = None) -> str:
    """Everything a newcomer needs to know, in one screen."""
    lines = [
        "",
        f"Revvenu ({framework}) listens on {base}",
        f"The sidecar answers on {sidecar}",
        "",
    ]
    if framework == "django":
        lines += [f"Open {base} in a browser and choose a customer."]
    if console is not None:
        lines += [f"Change what customers have at {console}: it counts at once."]
    if framework == "django":
        lines += [""]
    lines += ["Try, in another terminal:"]
    tries = [(one.command(base), one.status) for one in TO_TRY[framework]]
    width = max(len(command) for command, _ in tries)
    lines += [f"  {command:<{width}}  # {status}" for command, status in tries]
    return "\n".join([*lines, "", "Stop it with Ctrl-C.", ""])


def say(text: str) -> None:
    """Print at once, into a pipe as well."""
    print(text, flush=True)  # noqa: T201
