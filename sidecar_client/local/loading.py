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

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.catalog import Catalog
from sidecar_client.local.checks import Path as PartPath
from sidecar_client.local.checks import Problem, problems

CatalogSource = Catalog | Mapping[str, object] | str | os.PathLike[str] | None
DEMO = "demo"
_SHOWN = 20


class _Loader(yaml.SafeLoader):
    """YAML that leaves times as text: the catalog reads them, and knows their line."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class CatalogError(ConfigurationError):
    """A catalog that cannot be served: every problem, its place and its cure."""


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
        return LoadedCatalog(catalog=source, origin="memory")
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
    try:
        node = yaml.compose(text, Loader=_Loader)
        _refuse(name, list(_repeated_keys(node)), node)
        data: object = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise CatalogError(_broken(error, name)) from None
    except RecursionError:
        raise CatalogError(f"{name}: is nested too deeply; write it flatter") from None
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise CatalogError(
            f"{name}:1: is a {type(data).__name__}; "
            "write a mapping with features, plans and customers"
        )
    return _checked(cast("dict[str, object]", data), name, node)


def _broken(error: yaml.YAMLError, name: str) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    if mark is None:
        return f"{name}: is not YAML: {problem}"
    return f"{name}:{mark.line + 1}:{mark.column + 1}: is not YAML: {problem}"


def _checked(
    data: Mapping[str, object], name: str, node: yaml.Node | None = None
) -> Catalog:
    try:
        catalog = Catalog.model_validate(dict(data))
    except ValidationError as error:
        _refuse(name, list(_misshapen(error)), node)
        raise
    _refuse(name, list(problems(catalog)), node)
    return catalog


def _misshapen(error: ValidationError) -> Iterator[Problem]:
    for item in error.errors(include_url=False):
        yield Problem(path=item["loc"], message=_shape_message(item["type"], item))


def _shape_message(kind: str, item: Mapping[str, object]) -> str:
    given = _short(item["input"])
    if kind == "extra_forbidden":
        return f"`{cast('PartPath', item['loc'])[-1]}` is not a key here; remove it"
    if kind == "missing":
        return f"`{cast('PartPath', item['loc'])[-1]}` is missing; add it"
    if kind == "value_error":
        return str(item["msg"]).removeprefix("Value error, ")
    message = str(item["msg"]).removeprefix("Input should be ")
    return f"is {given}; use {message}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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
    return (
        f"{where}: {path}: {problem.message}"
        if path
        else (f"{where}: {problem.message}")
    )


def _spelled(path: PartPath) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
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
        for key, value in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
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
                name = str(key.value)
                if name in keys:
                    line = key.start_mark.line + 1
                    yield Problem(
                        path=path,
                        message=f"{name!r} is written twice, again on line {line}; "
                        "write it once",
                    )
                keys.add(name)
                waiting.append(((*path, name), value))
