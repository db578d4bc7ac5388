"""What htmx says of a request, and where its person came from.

Sources: htmx's reference of request and response headers.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

from starlette.requests import Request

REQUEST: Final = "HX-Request"
REDIRECT: Final = "HX-Redirect"
_WHOLE: Final = {
    "HX-Boosted": "true",
    "HX-History-Restore-Request": "true",
    "HX-Request-Type": "full",  # htmx 4
}


def is_htmx(request: Request) -> bool:
    """Whether htmx sent it, and not the browser itself."""
    return request.headers.get(REQUEST) == "true"


def wants_fragment(request: Request) -> bool:
    """Whether it goes into a page that is there; a boosted link wants a whole page."""
    is_whole = any(request.headers.get(name) == said for name, said in _WHOLE.items())
    return is_htmx(request) and not is_whole


def way_back(request: Request) -> str | None:
    """The path and query of the page that a person sees, to come back to.

    htmx asks for parts of a page, and says which page in a header; that is believed
    where it is of this site. Nobody comes back to a POST.
    """
    page = _current_page(request) if is_htmx(request) else None
    if page is not None and page.netloc == request.url.netloc:
        return _path(page.path, page.query)
    if request.method not in ("GET", "HEAD"):
        return None
    return _path(request.url.path, request.url.query)


def _current_page(request: Request) -> SplitResult | None:
    try:
        page = urlsplit(request.headers.get("HX-Current-URL", ""))
    except ValueError:  # anybody may write anything there
        return None
    return page if page.netloc else None


def _path(path: str, query: str) -> str:
    path = path or "/"
    if path.startswith("//"):  # it would lead to another site
        path = f"/%2F{path[2:]}"
    return f"{path}?{query}" if query else path
