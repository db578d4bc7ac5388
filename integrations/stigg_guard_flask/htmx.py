"""What htmx says of the current request, and where its person came from.

Sources: htmx's reference of request and response headers.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from flask import request

REQUEST: Final = "HX-Request"
REDIRECT: Final = "HX-Redirect"
_WHOLE: Final = {
    "HX-Boosted": "true",
    "HX-History-Restore-Request": "true",
    "HX-Request-Type": "full",  # htmx 4
}

_PATH: Final = "/!$&()*+,:;=@~"
"""What a path may contain as it is; quotes are not among it, whatever shows it."""

_QUERY: Final = f"{_PATH}%?"


def is_htmx() -> bool:
    """Whether htmx sent it, and not the browser itself."""
    return request.headers.get(REQUEST) == "true"


def wants_fragment() -> bool:
    """Whether it goes into a page that is there; a boosted link wants a whole page."""
    is_whole = any(request.headers.get(name) == said for name, said in _WHOLE.items())
    return is_htmx() and not is_whole


def way_back() -> str | None:
    """The path and query of the page that a person sees, to come back to.

    htmx asks for parts of a page, and says which page in a header; that is believed
    where it is of this site. Nobody comes back to a POST.
    """
    page = _current_page() if is_htmx() else None
    if page is not None and page.netloc == request.host:
        return _within_site(quote(page.path or "/", safe=f"{_PATH}%"), page.query)
    if request.method not in ("GET", "HEAD"):
        return None
    path = quote(request.script_root + request.path, safe=_PATH)
    return _within_site(path, request.query_string.decode("ascii", "replace"))


def _current_page() -> SplitResult | None:
    try:
        return urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:  # anybody may write anything there
        return None


def _within_site(path: str, query: str) -> str:
    if path.startswith("//"):  # it would lead to another site
        path = f"/%2F{path[2:]}"
    return f"{path}?{quote(query, safe=_QUERY)}" if query else path
