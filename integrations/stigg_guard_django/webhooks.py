"""The view that receives the vendor's webhooks, for a path of the URLconf.

What it does with them is `stigg_guard.webhooks`'; projects are told by a signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from django.contrib.auth.decorators import login_not_required
from django.core.checks import CheckMessage, Error
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from stigg_guard import Settings, guard_exempt
from stigg_guard.webhooks import WebhookEvent
from stigg_guard.webhooks.bodies import reader
from stigg_guard.webhooks.handlers import Handling
from stigg_guard.webhooks.incoming import SECRET_HEADER, Incoming
from stigg_guard_django.apps import SETTING, guard_from
from stigg_guard_django.routes import Route
from stigg_guard_django.signals import webhook_received


@csrf_exempt
@login_not_required
@guard_exempt
def webhook_view(request: HttpRequest) -> HttpResponse:
    """Receives Stigg's webhooks: `path("webhooks/stigg/", webhook_view)`.

    It needs `STIGG_GUARD["WEBHOOK_SECRET"]`. Receivers of the signal `webhook_received`
    are told of each event, when the guard has forgotten what is old.
    """

    def tell(event: WebhookEvent) -> None:
        # All are told before the first failure is answered with an error.
        for _, failure in webhook_received.send_robust(
            WebhookEvent, event=event, request=request
        ):
            if isinstance(failure, Exception):
                raise failure

    incoming = Incoming(
        method=(request.method or "").upper(),
        secret=request.headers.get(SECRET_HEADER),
        length=request.META.get("CONTENT_LENGTH"),
        read=reader(request.read),
    )
    answer = guard_from(request).receive_webhook(incoming, [Handling(tell)])
    return HttpResponse(answer.body, status=answer.status, headers={**answer.headers})


def missing_secret(
    settings: Settings, routes: Iterable[Route]
) -> Iterator[CheckMessage]:
    """E008: webhooks that nobody can be trusted to have sent."""
    if settings.webhook_secret:
        return
    for route in routes:
        if route.view is webhook_view:
            yield Error(
                f"Webhooks are received at {route.path}, but"
                f' {SETTING}["WEBHOOK_SECRET"] is not set: every one of them fails.',
                hint=_HINT,
                id="stigg_guard.E008",
            )


_HINT: Final = (
    "Set it to the secret that Stigg shows on the webhook's page; keep it out of the"
    " repository."
)
