"""The schema as the library reads it, once, when the first query comes.

Nothing but the schema lives here; what its times look like is in `moments`.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from graphql import GraphQLSchema, build_schema

_PACKAGE = "sidecar_client.local.http.graphql"


@cache
def schema() -> GraphQLSchema:
    """The schema that `/graphql` serves."""
    text = files(_PACKAGE).joinpath("schema.graphql").read_text("utf-8")
    return build_schema(text)
