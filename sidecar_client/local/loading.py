"""From files, a mapping or nothing to a checked catalog.

Saying on which line something is wrong lives here; finding and reading files
(`catalog_files`), the shape of a catalog (`catalog`) and its rules (`checks`) do not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from sidecar_client.local.catalog import Catalog
from sidecar_client.local.catalog_files import (
    FilePath,
    Writings,
    found_files,
    read,
)
from sidecar_client.local.catalog_reading import Written, parsed
from sidecar_client.local.checks import problems
from sidecar_client.local.identified import identified
from sidecar_client.local.problem import Path as PartPath
from sidecar_client.local.problem import Problem
from sidecar_client.local.shape import misshapen
from sidecar_client.local.shown import limited, visible
from sidecar_client.local.yaml_text import CatalogError

CatalogSource = Catalog | Mapping[str, object] | FilePath | Sequence[FilePath] | None
DEMO = "demo"
_SHOWN = 20
_MOST_MESSAGE = 500
_MOST_STEP = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedCatalog:
    """A checked catalog and where it came from."""

    catalog: Catalog
    origin: str
    """The absolute path of its file or folder, several with commas between them,
    `demo`, or `memory`."""


def load_catalog(source: CatalogSource = None) -> Catalog:
    """The checked catalog of files, a mapping, or (None) the demo catalog.

    A file is YAML or, by its name, JSON; a folder stands for all catalogs right in it,
    and several paths for one catalog together. Raises `ConfigurationError` that lists
    every problem with file, line and cure.
    """
    return load(source).catalog


def load(source: CatalogSource = None) -> LoadedCatalog:
    """Like `load_catalog`, and where the catalog came from."""
    if isinstance(source, Catalog):
        whole = Writings([Written(name="the catalog", data={})])
        _refuse(_placed(whole, problems(source)))
        return LoadedCatalog(catalog=identified(source), origin="memory")
    if isinstance(source, Mapping):
        written = Written(name="the catalog", data=dict(source))
        return LoadedCatalog(catalog=_checked([written]), origin="memory")
    if source is None:
        text = files("sidecar_client.local").joinpath("demo.yaml").read_text("utf-8")
        return LoadedCatalog(catalog=read_catalog(text, "demo.yaml"), origin=DEMO)
    paths = [source] if isinstance(source, str | os.PathLike) else list(source)
    if not paths:
        raise CatalogError(
            "no file is named for the catalog; give one, or leave it out"
        )
    return LoadedCatalog(
        catalog=_checked([read(path) for path in found_files(paths)]),
        origin=", ".join(str(Path(path).resolve()) for path in paths),
    )


def read_catalog(text: str, name: str) -> Catalog:
    """The checked catalog of a text; JSON where its name ends with `.json`."""
    return _checked([parsed(text, name)])


def _checked(written: Sequence[Written]) -> Catalog:
    for file in written:
        _refuse((file, problem) for problem in file.repeated)
    whole = Writings(written)
    _refuse(whole.misplaced())
    try:
        catalog = Catalog.model_validate(whole.data)
    except ValidationError as error:
        _refuse(_placed(whole, misshapen(error, whole.data)))
        raise
    _refuse(_placed(whole, problems(catalog)))
    return identified(catalog)


def _placed(
    whole: Writings, found: Iterable[Problem]
) -> Iterator[tuple[Written, Problem]]:
    """Each problem with its file, and its path there."""
    for problem in found:
        file, path = whole.place(problem.path)
        message = problem.message
        if problem.other is not None:
            message += (
                f" (the other is {_seen_from(file, *whole.place(problem.other))})"
            )
        yield file, Problem(path=path, message=message)


def _refuse(found: Iterable[tuple[Written, Problem]]) -> None:
    """Raise one error that lists what was found, if anything was."""
    listed = list(found)
    if not listed:
        return
    lines = [_line(file, problem) for file, problem in listed[:_SHOWN]]
    if len(listed) > _SHOWN:
        lines.append(f"... and {len(listed) - _SHOWN} more")
    raise CatalogError("\n".join(lines))


def _line(file: Written, problem: Problem) -> str:
    path = _spelled(problem.path)
    where = _file_and_line(file, problem.path)
    message = limited(problem.message, _MOST_MESSAGE)
    return visible(f"{where}: {path}: {message}" if path else f"{where}: {message}")


def _file_and_line(file: Written, path: PartPath) -> str:
    lines = file.lines
    return file.name if lines is None else f"{file.name}:{lines.line(path)}"


def _seen_from(file: Written, other: Written, path: PartPath) -> str:
    if other.lines is None:
        return _spelled(path)
    line = other.lines.line(path)
    return f"on line {line}" if other is file else f"at {other.name}:{line}"


def _spelled(path: PartPath) -> str:
    text = ""
    for step in path:
        text += (
            f"[{step}]" if isinstance(step, int) else f".{limited(step, _MOST_STEP)}"
        )
    return text.removeprefix(".")
