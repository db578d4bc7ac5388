"""What htmx says of a request, and how it is told to go elsewhere.

Sources: htmx's reference of request and response headers.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.http import HttpRequest
from django.utils.http import (
    escape_leading_slashes,
    url_has_allowed_host_and_scheme,
)

REQUEST: Final = "HX-Request"
REDIRECT: Final = "HX-Redirect"
_WHOLE: Final = {
    "HX-Boosted": "true",
    "HX-History-Restore-Request": "true",
    "HX-Request-Type": "full",  # htmx 4
}


def is_htmx(request: HttpRequest) -> bool:
    """Whether htmx sent it, and not the browser itself."""
    return request.headers.get(REQUEST) == "true"


def wants_fragment(request: HttpRequest) -> bool:
    """Whether it goes into a page that is there; a boosted link wants a whole page."""
    is_whole = any(request.headers.get(name) == said for name, said in _WHOLE.items())
    return is_htmx(request) and not is_whole


def page_of(request: HttpRequest) -> str:
    """The path and query of the page that a person sees, to come back to.

    htmx asks for parts of a page; it says which page in a header, and that is taken
    for granted only where it is of this site.
    """
    page = request.headers.get("HX-Current-URL", "") if is_htmx(request) else ""
    if page and url_has_allowed_host_and_scheme(
        page, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    ):
        parts = urlsplit(page)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    else:
        path = request.get_full_path()
    return escape_leading_slashes(path)  # "//" would lead to another site
