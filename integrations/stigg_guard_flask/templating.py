"""Our templates, and how an application finds them.

What they say is stigg_guard's; the page of a denial is made in `pages`.
"""

from __future__ import annotations

from flask import Flask
from jinja2 import BaseLoader, ChoiceLoader, PackageLoader


def install(app: Flask) -> None:
    """Have an application find our templates, after all of its own.

    A template of the application or of a blueprint is found before ours of that name.
    """
    environment = app.jinja_env
    last = PackageLoader("stigg_guard_flask")
    first: BaseLoader | None = environment.loader
    environment.loader = last if first is None else ChoiceLoader([first, last])
