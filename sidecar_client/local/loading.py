"""From a file, a mapping or nothing to a checked catalog.

Reading YAML and saying on which line something is wrong live here; the shape of a
catalog (`catalog`) and its rules (`checks`) do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

import yaml
from pydantic import ValidationError

from sidecar_client.local.catalog import Catalog
from sidecar_client.local.checks import problems
from sidecar_client.local.identified import identified
from sidecar_client.local.problem import Path as PartPath
from sidecar_client.local.problem import Problem
from sidecar_client.local.shape import misshapen
from sidecar_client.local.shown import limited, printable, shown
from sidecar_client.local.yaml_text import CatalogError, YamlText

CatalogSource = Catalog | Mapping[str, object] | str | os.PathLike[str] | None
DEMO = "demo"
_SHOWN = 20
_MOST_MESSAGE = 500
_MOST_STEP = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCatalog:
    """A checked catalog and where it came from."""

    catalog: Catalog
    origin: str
    """The absolute path of its file, `demo`, or `memory`."""


def load_catalog(source: CatalogSource = None) -> Catalog:
    """The checked catalog of a YAML file, a mapping, or (None) the demo catalog.

    Raises `ConfigurationError` that lists every problem with file, line and cure.
    """
    return load(source).catalog


def load(source: CatalogSource = None) -> LoadedCatalog:
    """Like `load_catalog`, and where the catalog came from."""
    if isinstance(source, Catalog):
        _refuse("the catalog", list(problems(source)), None)
        return LoadedCatalog(catalog=identified(source), origin="memory")
    if isinstance(source, Mapping):
        return LoadedCatalog(catalog=_checked(source, "the catalog"), origin="memory")
    if source is None:
        text = files("sidecar_client.local").joinpath("demo.yaml").read_text("utf-8")
        return LoadedCatalog(catalog=_from_text(text, "demo.yaml"), origin=DEMO)
    path = Path(source)
    return LoadedCatalog(
        catalog=_from_text(_read(path), str(path)), origin=str(path.resolve())
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); "
            "save it as UTF-8"
        ) from None
    except OSError as error:
        raise CatalogError(
            f"{path}: cannot be read ({error.strerror}); give the path of a YAML file"
        ) from None


def _from_text(text: str, name: str) -> Catalog:
    written = YamlText(text, name)
    node = written.node
    _refuse(name, list(_repeated_keys(node)), node)
    data = written.values()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise CatalogError(
            f"{name}:1: is a {type(data).__name__}; "
            "write a mapping with features, plans and customers"
        )
    return _checked(cast("dict[str, object]", data), name, node)


def _checked(
    data: Mapping[str, object], name: str, node: yaml.Node | None = None
) -> Catalog:
    try:
        catalog = Catalog.model_validate(dict(data))
    except ValidationError as error:
        _refuse(name, list(misshapen(error)), node)
        raise
    _refuse(name, list(problems(catalog)), node)
    return identified(catalog)


def _refuse(name: str, found: list[Problem], node: yaml.Node | None) -> None:
    """Raise one error that lists what was found, if anything was."""
    if not found:
        return
    lines = [_line(name, problem, node) for problem in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"... and {len(found) - _SHOWN} more")
    raise CatalogError("\n".join(lines))


def _line(name: str, problem: Problem, node: yaml.Node | None) -> str:
    where = name if node is None else f"{name}:{_line_number(node, problem.path)}"
    path = _spelled(problem.path)
    message = limited(problem.message, _MOST_MESSAGE)
    return printable(f"{where}: {path}: {message}" if path else f"{where}: {message}")


def _spelled(path: PartPath) -> str:
    text = ""
    for step in path:
        text += (
            f"[{step}]" if isinstance(step, int) else f".{limited(step, _MOST_STEP)}"
        )
    return text.removeprefix(".")


def _line_number(node: yaml.Node, path: PartPath) -> int:
    """The line where the path leads, or gets closest to."""
    line = node.start_mark.line
    for step in path:
        found = _child(node, step)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line
    return int(line) + 1


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        items = cast("list[yaml.Node]", node.value)
        return (items[step], items[step]) if step < len(items) else None
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        # The last first: what a merge brought comes before what overrides it.
        for key, value in reversed(pairs):
            if key.value == str(step):
                return key, value
    return None


def _repeated_keys(node: yaml.Node | None) -> Iterator[Problem]:
    """Keys written twice in one mapping: YAML would silently take the last."""
    seen: set[int] = set()
    waiting: list[tuple[PartPath, yaml.Node]] = [((), node)] if node else []
    while waiting:
        path, here = waiting.pop()
        if id(here) in seen:
            continue
        seen.add(id(here))
        if isinstance(here, yaml.SequenceNode):
            items = cast("list[yaml.Node]", here.value)
            waiting += [((*path, at), item) for at, item in enumerate(items)]
        elif isinstance(here, yaml.MappingNode):
            keys: set[str] = set()
            for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", here.value):
                if not isinstance(key, yaml.ScalarNode):
                    continue  # No key of a catalog; the shape says so.
                name = str(key.value)
                if name in keys:
                    line = key.start_mark.line + 1
                    yield Problem(
                        path=path,
                        message=f"{shown(name)} is written twice, again on "
                        f"line {line}; write it once",
                    )
                keys.add(name)
                waiting.append(((*path, name), value))
