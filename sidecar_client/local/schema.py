"""The JSON Schema of catalogs, for editors: made from the models and their docstrings.

What a catalog is, is said by the models; only the translation lives here.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, Final, cast

from sidecar_client.local import catalog, customers, entitlements
from sidecar_client.local.catalog import Catalog

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_MODULES: Final = (catalog, customers, entitlements)
# Where editors would refuse dates without a time.
_TIME: Final = {
    "type": "string",
    "examples": ["2026-01-31", "2026-01-31T12:00:00Z"],
}
# What is written `true` or `false` where nothing else is said.
_SHORT: Final = ("#/$defs/Entitlement", "#/$defs/AddonEntitlement")
_COMMON: Final = {
    "addons": "What is bought beside plans.",
    "aggregation": "How the events become a number.",
    "amount": "How many credits.",
    "archived": "Whether it is denied everything.",
    "at": "When it was used.",
    "billing_period": "How often is paid; budgets begin anew with it.",
    "budget": "What it may spend on charges.",
    "cadence": "How often the credits recur.",
    "canceled_at": "When it was canceled.",
    "conditions": "What an event meets, all of it.",
    "cost": "What was paid for the credits.",
    "credits": "Credits that were given to the customer.",
    "currencies": "Custom currencies of credits.",
    "currency": "The id of a currency of the catalog.",
    "customers": "Who has what.",
    "description": "What it is, for people.",
    "divide": "How many units that are reported make one that is granted.",
    "effective": "From when on the credits can be spent.",
    "email": "The address of the customer.",
    "end": "The first moment at which it no longer holds.",
    "entitlement": "What is granted.",
    "entitlements": "What is granted, by the id of the feature.",
    "feature": "The id of a feature of the catalog.",
    "features": "What can be had at all.",
    "field": "The name of a dimension of the event.",
    "id": "The id, as the application and its calls name it.",
    "limit": "How many units.",
    "max_quantity": "How often one subscription can have it.",
    "metadata": "Names and texts of your own.",
    "name": "How it is called where people see it.",
    "operator": "How the dimension is compared.",
    "plan": "The id of a plan of the catalog.",
    "plans": "What customers subscribe to.",
    "price": "What one unit costs.",
    "pricing": "Whether it is paid for.",
    "product": "The id of the product it belongs to.",
    "products": "What plans belong to.",
    "promotions": "What is granted outside of every subscription.",
    "quantity": "How often it was bought.",
    "rate": "How many credits one unit costs.",
    "reset_anchor": "When reset periods begin: a rule, or a time to count from.",
    "reset_period": "How often usage begins anew; without it, never.",
    "resource": "The id of one of the customer's resources.",
    "resources": "Ids of what the customer has several of, such as sites.",
    "round": "What becomes of parts of a unit.",
    "soft_limit": "Whether access goes on beyond the limit.",
    "start": "From when on it holds.",
    "status": "Whether it is in use.",
    "subscriptions": "The plans that the customer has.",
    "type": "Of which kind it is.",
    "unit_plural": "What several units are called.",
    "unit_singular": "What one unit is called.",
    "unit_transformation": "From the units that are reported to those granted.",
    "units": "What one unit is called.",
    "units_plural": "What several units are called.",
    "unlimited": "Whether there is no limit at all.",
    "usage": "What was used before the sidecar started.",
    "value": "The number, or what is compared with.",
    "values": "The values of an enum feature, or those compared with.",
    "version": "Several may stand side by side; the highest is the latest.",
}
"""What fields mean that say it by their names, for people who cannot see the models."""


def catalog_schema() -> dict[str, Any]:
    """The schema of a catalog, or of one file of several."""
    found = Catalog.model_json_schema()
    for name, model in found["$defs"].items():
        _describe(model, name)
    _describe(found, "Catalog")
    _simplify(found)
    return {"$schema": DIALECT, **found, "title": "A catalog of the local sidecar"}


def _describe(model: dict[str, Any], name: str) -> None:
    """Put in what the docstrings below the fields say."""
    for field, said in model.get("properties", {}).items():
        said.pop("title", None)
        text = _docs().get((name, field)) or _COMMON.get(field)
        if text:
            said["description"] = text


@cache
def _docs() -> dict[tuple[str, str], str]:
    """The docstring of each field, those of the classes it comes from included."""
    found: dict[tuple[str, str], str] = {}
    bases: dict[str, list[str]] = {}
    for module in _MODULES:
        for model in _classes(module):
            bases[model.name] = [
                base.id for base in model.bases if isinstance(base, ast.Name)
            ]
            found |= {(model.name, field): text for field, text in _fields(model)}
    for name in bases:
        for base in _ancestors(name, bases):
            for (owner, field), text in list(found.items()):
                if owner == base:
                    found.setdefault((name, field), text)
    return found


def _classes(module: ModuleType) -> list[ast.ClassDef]:
    tree = ast.parse(inspect.getsource(module))
    return [node for node in tree.body if isinstance(node, ast.ClassDef)]


def _fields(model: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for node, below in zip(model.body, model.body[1:], strict=False):
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
            and isinstance(below.value.value, str)
        ):
            yield node.target.id, " ".join(below.value.value.split())


def _ancestors(name: str, bases: dict[str, list[str]]) -> list[str]:
    found = bases.get(name, [])
    return [*found, *(more for base in found for more in _ancestors(base, bases))]


def _simplify(schema: Any) -> None:
    """Words of ours for what the models check in Python."""
    if isinstance(schema, list):
        for item in cast("Sequence[Any]", schema):
            _simplify(item)
    if not isinstance(schema, dict):
        return
    found = cast("dict[str, Any]", schema)
    for item in found.values():
        _simplify(item)
    if found.get("format") == "date-time":
        del found["format"]
        found |= _TIME
    if found.get("$ref") in _SHORT:
        found["anyOf"] = [{"$ref": found.pop("$ref")}, {"type": "boolean"}]
    if found.get("default", ...) is None:
        del found["default"]
