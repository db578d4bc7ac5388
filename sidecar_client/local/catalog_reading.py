"""The text of one file, YAML or JSON, as the words of a catalog and their lines.

Which reader is right for a text is decided here; readers do not live here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

import yaml

from sidecar_client.local.json_text import NotJson, read_json
from sidecar_client.local.problem import Problem
from sidecar_client.local.quick_yaml import NotPlain, QuickYaml
from sidecar_client.local.yaml_lines import Lines, TreeLines, keys_written_twice
from sidecar_client.local.yaml_text import CatalogError, Unfit, YamlText, broken

_MOST_EXACT: Final = 100_000
"""Characters of a text that is read slowly where the quick reader stumbles."""
_MOST_RARE: Final = 400_000
"""Characters of a text that is read slowly because of what is rare in it: 2 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What one file says, or a mapping."""

    name: str
    """As errors name it."""
    data: dict[str, Any]
    lines: Lines | None = None
    """Where it is written; None where there is no text."""
    repeated: tuple[Problem, ...] = ()
    """Keys that are written twice in one mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    value: Any = None
    lines: Lines | None = None
    repeated: tuple[Problem, ...] = ()


def parsed(text: str, name: str) -> Written:
    """What a text says: JSON where its name ends with `.json`, else YAML."""
    read = _json(text, name) if name.endswith(".json") else _yaml(text, name)
    value: object = read.value
    if not isinstance(value, dict):
        raise CatalogError(f"{name}:1: is {_other(value)}")
    return Written(
        name=name,
        data=cast("dict[str, Any]", value),
        lines=read.lines,
        repeated=read.repeated,
    )


def _other(value: object) -> str:
    """What a file is that is no catalog, and the cure."""
    if value is None:
        # An editor may have emptied it before it writes: nobody meant to lose it all.
        return "empty; write features, plans and customers, or {} for none of them"
    kind = "a list" if isinstance(value, list) else "a single value"
    return f"{kind}; write a mapping with features, plans and customers"


def _yaml(text: str, name: str) -> _Read:
    try:
        return _quickly(text)
    except NotPlain as rare:
        if rare.mark is not None and len(text) > _MOST_RARE:
            raise CatalogError(
                f"{name}:{rare.mark.line + 1}: has {rare.what} here, which more than "
                f"{_MOST_RARE:,} characters must not have; do without, write it as "
                "JSON, or split it into several files"
            ) from None
    except yaml.YAMLError as error:
        if len(text) > _MOST_EXACT:
            raise CatalogError(broken(error, text, name)) from None
    exact = YamlText(text, name)
    # Before `values`, which puts into the tree what merges bring.
    repeated = tuple(keys_written_twice(exact.node))
    value = exact.values()
    lines = None if exact.node is None else TreeLines(exact.node)
    return _Read(value=value, lines=lines, repeated=repeated)


def _json(text: str, name: str) -> _Read:
    """Values as JSON has them, for YAML would take other words for numbers."""
    lines = _lines_of_json(text, name)
    try:
        value = read_json(text)
    except NotJson as error:
        if not error.line:
            told = f"{name}: cannot be read ({error}); correct it"
            raise CatalogError(told) from None
        where = f"{name}:{error.line}:{error.column}"
        raise CatalogError(f"{where}: is not JSON: {error.problem}") from None
    return _Read(value=value, lines=lines.lines, repeated=lines.repeated)


def _lines_of_json(text: str, name: str) -> _Read:
    """Those of the same text as YAML; none where YAML does not take its signs."""
    # Between values, where alone JSON allows it, YAML does not like a tab.
    text = text.replace("\t", " ")
    try:
        return _quickly(text)
    except (NotPlain, yaml.YAMLError) as error:
        if len(text) > _MOST_EXACT:
            if isinstance(error, Unfit):
                raise CatalogError(broken(error, text, name)) from None
            return _Read()
    try:
        node = YamlText(text, name).node
    except CatalogError as error:
        if isinstance(error.__context__, Unfit):
            raise
        return _Read()
    lines = None if node is None else TreeLines(node)
    return _Read(lines=lines, repeated=tuple(keys_written_twice(node)))


def _quickly(text: str) -> _Read:
    quick = QuickYaml(text)
    return _Read(value=quick.root, lines=quick, repeated=tuple(quick.repeated))
