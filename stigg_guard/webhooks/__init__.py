"""Webhooks of the vendor: what they say, what is done about it, and who is told.

How a framework's request gets here is the business of `asgi`, `wsgi` and the adapters.
"""

from __future__ import annotations

from stigg_guard.webhooks.event import WebhookEvent
from stigg_guard.webhooks.handlers import WebhookHandler

__all__ = ["WebhookEvent", "WebhookHandler"]
