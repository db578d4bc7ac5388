"""Starting an example: a sidecar first, then its web server in the foreground.

Ports are chosen in `places`; what is printed before it serves lives in `welcome`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from example_project.places import (
    HOST,
    SIDECAR_PORT,
    WEB_PORT,
    asked_port,
    free_port,
    web_port,
)
from example_project.welcome import ESSENTIALS, say, welcome
from sidecar_client import ConfigurationError, GetEntitlementsRequest, SyncStigg

Serve = Callable[[int], object]


def launch(framework: str) -> None:
    """Start the example and serve until Ctrl-C."""
    port = web_port()
    if port != WEB_PORT and asked_port("REVVENU_PORT") is None:
        say(f"Port {WEB_PORT} is taken; Revvenu takes {port} instead.")
    # A lease that is held until we end, and so is the sidecar's life.
    with sidecar() as client:
        serve = FRAMEWORKS[framework](client)
        say(welcome(framework, f"http://{HOST}:{port}", _address()))
        serve(port)


def sidecar() -> SyncStigg:
    """A client of a sidecar that answers: the one that was named, or a local one."""
    target = os.environ.get("REVVENU_SIDECAR", "local")
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
        say(f"Port {SIDECAR_PORT} is taken; the local sidecar takes {port} instead.")
        return client


def _local(port: int) -> SyncStigg:
    client = _answering(SyncStigg(local_sidecar_port=port, timeout=5))
    # The application is told as it would be by a user.
    os.environ["REVVENU_SIDECAR_PORT"] = str(port)
    return client


def _answering(client: SyncStigg) -> SyncStigg:
    client.get_entitlements(GetEntitlementsRequest(customer_id=ESSENTIALS))
    return client


def _address() -> str:
    target = os.environ.get("REVVENU_SIDECAR", "local")
    return (
        f"{HOST}:{os.environ['REVVENU_SIDECAR_PORT']}" if target == "local" else target
    )


def _django(client: SyncStigg) -> Serve:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.revvenu.settings")
    os.environ.setdefault("DJANGO_RUNSERVER_HIDE_WARNING", "true")
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    from example_project.revvenu.demo import start_over
    from example_project.revvenu.models import User

    for user in User.objects.all():
        start_over(client, user)
    return lambda port: call_command("runserver", f"{HOST}:{port}", use_reloader=False)


def _flask(client: SyncStigg) -> Serve:
    from example_project.flask_app import app

    return lambda port: app.run(HOST, port, use_reloader=False)


def _fastapi(client: SyncStigg) -> Serve:
    import uvicorn

    from example_project.fastapi_app import app

    return lambda port: uvicorn.run(app, host=HOST, port=port)


FRAMEWORKS: Final[dict[str, Callable[[SyncStigg], Serve]]] = {
    "django": _django,
    "flask": _flask,
    "fastapi": _fastapi,
}
