"""The blueprint that receives the vendor's webhooks.

What it does with them is `stigg_guard.webhooks`'; applications are told by a signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from flask import Blueprint, Flask, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import RequestEntityTooLarge

from stigg_guard.decorators import guard_exempt
from stigg_guard.errors import ConfigurationError
from stigg_guard.guard import Guard
from stigg_guard.webhooks.event import WebhookEvent
from stigg_guard.webhooks.handlers import (
    Handling,
    WebhookHandler,
    checked_handler,
    checked_types,
)
from stigg_guard.webhooks.incoming import SECRET_HEADER, BodyTooLarge, Incoming
from stigg_guard_flask import signals
from stigg_guard_flask.requests import NAME, guard_from

_RECEIVES: Final = "__stigg_guard_receives_webhooks__"


def webhook_blueprint(
    path: str = "/webhooks/stigg",
    *,
    on_event: WebhookHandler | None = None,
    types: Iterable[str] = (),
    name: str = "stigg_webhooks",
) -> Blueprint:
    """Receives Stigg's webhooks: `app.register_blueprint(webhook_blueprint())`.

    It needs `STIGG_GUARD_WEBHOOK_SECRET`. `on_event` and the receivers of
    `signals.webhook_received` are told of each event, when the guard has forgotten what
    is old; `types` names those that `on_event` wants.
    """
    place = "webhook_blueprint"
    handlings: tuple[Handling, ...] = ()
    found = checked_types(types, f"{place}(types=...)")
    if on_event is not None:
        handler = checked_handler(on_event, f"{place}(on_event=...)")
        handlings = (Handling(handler, found),)
    blueprint = Blueprint(name, __name__)

    @guard_exempt
    def receive() -> Response:
        return _answer(handlings)

    setattr(receive, _RECEIVES, True)
    blueprint.add_url_rule(path, "receive", receive, methods=["POST"])
    blueprint.record(_check_registered)
    return blueprint


def _answer(handlings: tuple[Handling, ...]) -> Response:
    incoming = Incoming(
        method=request.method,
        secret=request.headers.get(SECRET_HEADER),
        length=request.headers.get("Content-Length"),
        read=_read,
    )
    app: Flask = cast("Any", current_app)._get_current_object()

    def tell(event: WebhookEvent) -> None:
        signals.tell_of_webhook(app, event)

    own = [*handlings, Handling(tell)]
    answer = guard_from().receive_webhook(incoming, own)
    return Response(answer.body, answer.status, {**answer.headers})


def _read(most: int) -> bytes:
    request.max_content_length = most
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        raise BodyTooLarge from None


def _check_registered(state: BlueprintSetupState) -> None:
    guard: Guard | None = state.app.extensions.get(NAME)
    if guard is not None:
        _check_secret(guard, state.app.name)


def check(app: Flask, guard: Guard) -> None:
    """Raise `ConfigurationError` where webhooks arrive and no secret is set."""
    views: Iterable[Any] = app.view_functions.values()
    if any(getattr(view, _RECEIVES, False) for view in views):
        _check_secret(guard, app.name)


def _check_secret(guard: Guard, name: str) -> None:
    if not guard.settings.webhook_secret:
        raise ConfigurationError(
            f'the Flask application "{name}" receives webhooks, but'
            " STIGG_GUARD_WEBHOOK_SECRET is not set; set it to the secret that Stigg"
            " shows on the webhook's page."
        )
