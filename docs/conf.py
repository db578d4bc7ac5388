"""How the documentation is built: Sphinx, MyST, furo; warnings are errors."""

from __future__ import annotations

from django.conf import settings

from stigg_guard import __version__

# Django REST framework and django-ninja read them when they are imported.
settings.configure()

project = "stigg_guard"
author = "The stigg_guard maintainers"
copyright = "2026, the stigg_guard maintainers"
release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = "stigg_guard"

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_class_signature = "separated"
nitpicky = False
