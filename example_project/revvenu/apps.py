"""The application's name for Django, and what it asks of the development server.

It is a server for one person; here a hundred come at once.
"""

from __future__ import annotations

import logging
from typing import Final

from django.apps import AppConfig
from django.core.servers.basehttp import WSGIServer

_BACKLOG: Final = 256


class RevvenuConfig(AppConfig):
    """Revvenu."""

    name = "example_project.revvenu"
    label = "revvenu"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let the development server take many connections, and log the clicks only."""
        WSGIServer.request_queue_size = _BACKLOG
        logging.getLogger("django.server").addFilter(_is_worth_a_line)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """An open page asks how it stands every second."""
    return '"GET /backstage/ ' not in record.getMessage()
