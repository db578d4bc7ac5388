"""Starting an example: a sidecar first, then its web server in the foreground.

Ports are chosen in `places`; what is printed before it serves lives in `welcome`. The
sidecar that has a switch is in `switch`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Final

from example_project.places import (
    HOST,
    SIDECAR_PORT,
    WEB_PORT,
    asked_port,
    free_port,
    web_port,
)
from example_project.switch import switched_sidecar
from example_project.welcome import ESSENTIALS, say, welcome
from sidecar_client import ConfigurationError, GetEntitlementsRequest, SyncStigg
from sidecar_client.local import LocalSidecar

Serve = Callable[[int], object]


def launch(framework: str) -> None:
    """Start the example and serve until Ctrl-C."""
    port = web_port()
    if port != WEB_PORT and asked_port("REVVENU_PORT") is None:
        say(f"Port {WEB_PORT} is taken; Revvenu takes {port} instead.")
    is_ours = framework == "django" and _target() == "local"
    with _switched(port) if is_ours else sidecar() as found:
        serve = FRAMEWORKS[framework]()
        console = found.http_url if isinstance(found, LocalSidecar) else None
        say(welcome(framework, f"http://{HOST}:{port}", _address(), console))
        serve(port)


@contextmanager
def _switched(web_port: int) -> Generator[LocalSidecar]:
    """A sidecar that the pages can stop and start."""
    with switched_sidecar(web_port) as found:
        if found.port != SIDECAR_PORT and asked_port("REVVENU_SIDECAR_PORT") is None:
            _say_taken(found.port)
        # The application is told as it would be by a user.
        os.environ["REVVENU_SIDECAR"] = found.target
        yield found


def sidecar() -> SyncStigg:
    """A client of a sidecar that answers: the one that was named, or a local one.

    It holds a lease until it is closed, and so long does a local one live.
    """
    target = _target()
    if target != "local":
        return _answering(SyncStigg(target=target, timeout=5))
    asked = asked_port("REVVENU_SIDECAR_PORT")
    if asked is not None:
        return _local(asked)
    try:
        return _local(SIDECAR_PORT)
    except ConfigurationError:
        port = free_port()
        client = _local(port)
        _say_taken(port)
        return client


def _say_taken(port: int) -> None:
    say(f"Port {SIDECAR_PORT} is taken; the local sidecar takes {port} instead.")


def _local(port: int) -> SyncStigg:
    client = _answering(SyncStigg(local_sidecar_port=port, timeout=5))
    # The application is told as it would be by a user.
    os.environ["REVVENU_SIDECAR_PORT"] = str(port)
    return client


def _answering(client: SyncStigg) -> SyncStigg:
    client.get_entitlements(GetEntitlementsRequest(customer_id=ESSENTIALS))
    return client


def _target() -> str:
    return os.environ.get("REVVENU_SIDECAR", "local")


def _address() -> str:
    target = _target()
    return (
        f"{HOST}:{os.environ['REVVENU_SIDECAR_PORT']}" if target == "local" else target
    )


def _django() -> Serve:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.revvenu.settings")
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from example_project.revvenu.demo import start_over
    from example_project.revvenu.models import User
    from stigg_guard_django import guard_from

    for user in User.objects.all():
        start_over(guard_from(), user)
    return lambda port: call_command("runserver", f"{HOST}:{port}", use_reloader=False)


def _flask() -> Serve:
    from example_project.flask_app import app

    return lambda port: app.run(HOST, port, use_reloader=False)


def _fastapi() -> Serve:
    import uvicorn

    from example_project.fastapi_app import app

    return lambda port: uvicorn.run(app, host=HOST, port=port)


FRAMEWORKS: Final[dict[str, Callable[[], Serve]]] = {
    "django": _django,
    "flask": _flask,
    "fastapi": _fastapi,
}
