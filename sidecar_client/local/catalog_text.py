"""A catalog as text: YAML as a person would write it, or JSON.

Reading texts lives in `loading`; what is written here is read there as the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import yaml

from sidecar_client.local.catalog import Catalog, Definitions

_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_ENTITLEMENTS: Final = frozenset({"entitlements"})
_TIMES: Final = frozenset(
    {
        *("start", "end", "trial_end", "canceled_at", "archived_at"),
        *("effective", "expires", "at", "reset_anchor"),
    }
)
_MIDNIGHT: Final = re.compile(r"(\d{4}-\d\d-\d\d)T00:00:00Z")
_WIDTH: Final = 88


def _always(_dumper: object, _value: object) -> bool:
    return True


# The one in C is ten times as fast, where there is one.
_Base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Dumper: Any = type(
    "_Dumper",
    (_Base,),
    {
        # Times need no quotes: catalogs read them from text.
        "yaml_implicit_resolvers": {
            first: [rule for rule in rules if rule[0] != _TIMESTAMP]
            for first, rules in yaml.SafeDumper.yaml_implicit_resolvers.items()
        },
        # The same words twice are written twice.
        "ignore_aliases": _always,
    },
)


def _represent_text(dumper: Any, text: str) -> Any:
    """Line breaks that only Unicode has are escaped: YAML would fold them."""
    style = '"' if any(sign in text for sign in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def as_yaml(catalog: Definitions) -> str:
    """The catalog, or its definitions, as YAML; what is by default is left out."""
    found = as_mapping(catalog)
    if not found:
        return "{}\n"
    # A blank line between the lists of parts.
    return "\n".join(
        yaml.dump(
            {name: items},
            Dumper=_Dumper,
            allow_unicode=True,
            default_flow_style=None,
            sort_keys=False,
            width=_WIDTH,
        )
        for name, items in found.items()
    )


def as_json(catalog: Definitions) -> str:
    """The catalog, or its definitions, as JSON; what is by default is left out."""
    return json.dumps(as_mapping(catalog), indent=2, ensure_ascii=False) + "\n"


def as_mapping(catalog: Definitions) -> dict[str, Any]:
    """The catalog as a file would say it, with the short forms where there are any."""
    plain = catalog.model_dump(mode="json", exclude_defaults=True)
    return {name: _short(value, name) for name, value in plain.items()}


def _short(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        found = cast("Mapping[str, Any]", value)
        if name == "metadata":
            return found
        if name == "entitlement":
            return _entitlement(found)
        if name in _ENTITLEMENTS:
            return {key: _entitlement(said) for key, said in found.items()}
        return {key: _short(item, key) for key, item in found.items()}
    if isinstance(value, list):
        return [_short(item, "") for item in cast("Sequence[Any]", value)]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if name in _TIMES and (day := _MIDNIGHT.fullmatch(str(value))):
        return day[1]
    return value


def _entitlement(said: Mapping[str, Any]) -> Any:
    """`true` and `false` where nothing else is said."""
    if not said:
        return True
    if said == {"granted": False}:
        return False
    return {key: _short(item, key) for key, item in said.items()}


def text_of(catalog: Catalog, name: str) -> str:
    """The text of a file of this name: JSON for `.json`, YAML for all others."""
    return as_json(catalog) if name.endswith(".json") else as_yaml(catalog)
