"""`/local/webhooks`: what became of the latest messages, and sending one again.

Requests and answers live here; sending does not.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.http.parts import Parts
from sidecar_client.local.webhook_payloads import iso
from sidecar_client.local.webhooks import Delivery

_SHOWN = 200


def routes(parts: Parts) -> list[BaseRoute]:
    """The list of deliveries, newest first, and their messages again."""
    sender = parts.webhooks

    async def tell(_: Request) -> Response:
        latest = sender.deliveries[-_SHOWN:]
        return JSONResponse(
            {
                "webhooks": [
                    {"url": hook.url, "shape": hook.shape, "events": hook.events}
                    for hook in sender.webhooks
                ],
                "deliveries": [_told(delivery) for delivery in reversed(latest)],
            }
        )

    async def resend(request: Request) -> Response:
        try:
            found = sender.resend(request.path_params["message_id"])
        except (LookupError, ConfigurationError) as error:
            raise HTTPException(404, str(error).strip("\"'")) from None
        return JSONResponse([_told(delivery) for delivery in found], 202)

    return [
        Route("/local/webhooks", tell),
        Route("/local/webhooks/{message_id}/resend", resend, methods=["POST"]),
    ]


def _told(delivery: Delivery) -> dict[str, object]:
    """A delivery, without the secret."""
    return {
        "messageId": delivery.message.id,
        "type": delivery.message.type,
        "at": iso(delivery.message.at),
        "url": delivery.webhook.url,
        "state": delivery.state,
        "attempts": [
            {
                "at": iso(attempt.at),
                "seconds": round(attempt.seconds, 3),
                "status": attempt.status,
                "error": attempt.error,
            }
            for attempt in delivery.attempts
        ],
        "body": delivery.body.decode(),
    }
