"""The page that a browser gets for a denial when the application has none of its own.

What it says comes from the problem document, which is made in `denial`.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.05rem/1.6 system-ui, sans-serif; margin: 0; min-height: 100vh;
  display: grid; place-items: center; }}
main {{ max-width: 30rem; padding: 2rem; }}
h1 {{ font-size: 1.6rem; margin: 0 0 .5rem; }}
a {{ display: inline-block; margin-top: 1rem; padding: .6rem 1.2rem;
  border-radius: .5rem; background: #3b4cca; color: #fff; text-decoration: none; }}
small {{ display: block; margin-top: 2rem; opacity: .7; }}
</style>
</head>
<body>
<main>
{fragment}</main>
</body>
</html>
"""


_FRAGMENT: Final = """<h1>{title}</h1>
<p>{detail}</p>
{usage}{link}<small>{status} {reason}</small>
"""


def page(problem: Mapping[str, object]) -> str:
    """A plain page for people, from a problem document."""
    title = escape(str(problem["title"]))
    return _PAGE.format(title=title, fragment=fragment(problem))


def fragment(problem: Mapping[str, object]) -> str:
    """The part of that page which says why, for those who asked for a part."""
    usage = link = ""
    if "usage_limit" in problem:
        used, limit = (
            _plain(problem.get("current_usage")),
            _plain(problem["usage_limit"]),
        )
        usage = f"<p>{used} of {limit} used.</p>\n"
    if "upgrade_url" in problem:
        url = escape(str(problem["upgrade_url"]))
        link = f'<p><a href="{url}">See the plans</a></p>\n'
    return _FRAGMENT.format(
        title=escape(str(problem["title"])),
        detail=escape(str(problem["detail"])),
        usage=usage,
        link=link,
        status=problem["status"],
        reason=escape(str(problem["reason"])),
    )


def _plain(number: object) -> str:
    return f"{number:g}" if isinstance(number, int | float) else "0"
