"""One or several files as the words of one catalog, and where each is written.

Finding, reading and putting files together live here; reading a text does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

from sidecar_client.local.catalog_reading import Written, parsed
from sidecar_client.local.problem import Path as PartPath
from sidecar_client.local.problem import Problem
from sidecar_client.local.shown import shown
from sidecar_client.local.yaml_text import CatalogError

FilePath: TypeAlias = str | os.PathLike[str]
Seen: TypeAlias = tuple[tuple[str, int, int, int], ...] | None
ENDINGS: Final = (".yaml", ".yml", ".json")
"""What the files of a folder are called that belong to a catalog."""


def found_files(paths: Iterable[FilePath]) -> list[Path]:
    """The files that are meant, each once: of a folder, all catalogs right in it.

    Raises `CatalogError` for a folder without any.
    """
    found: dict[str, Path] = {}
    for given in paths:
        path = Path(given)
        inside = _inside(path) if path.is_dir() else [path]
        for file in inside:
            found.setdefault(os.path.realpath(file), file)
    return list(found.values())


def _inside(folder: Path) -> list[Path]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise _unreadable(folder, error) from None
    files = [
        folder / name
        for name in names
        if name.endswith(ENDINGS) and not name.startswith(".")
    ]
    if not files:
        raise CatalogError(
            f"{folder}: has no file that ends with {', '.join(ENDINGS)}; "
            "put one there, or give the path of a file"
        )
    return files


def seen(paths: Iterable[FilePath]) -> Seen:
    """What tells that the files are others now; None while they cannot be found."""
    found: list[tuple[str, int, int, int]] = []
    try:
        for path in found_files(paths):
            stat = os.stat(path)
            found.append((str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns))
    except (OSError, CatalogError):
        return None
    return tuple(found)


def read(path: Path) -> Written:
    """What a file says. Raises `CatalogError` where that cannot be read."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CatalogError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}); "
            "save it as UTF-8"
        ) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return parsed(text, str(path))


class Writings:
    """Files that are one catalog together: each of its lists goes on in the next."""

    def __init__(self, files: Sequence[Written]) -> None:
        self._files = files
        self._begins: list[dict[str, int]] = []
        """Where each list of each file begins in the whole."""
        self.data: dict[str, Any] = dict(files[0].data) if len(files) == 1 else {}
        for file in files if len(files) > 1 else ():
            self._append(file)

    def _append(self, file: Written) -> None:
        begins: dict[str, int] = {}
        for part, items in file.data.items():
            whole = self.data.setdefault(part, [])
            begins[part] = len(whole)
            if isinstance(items, list):
                whole += items
        self._begins.append(begins)

    def misplaced(self) -> Iterable[tuple[Written, Problem]]:
        """What cannot be put together with other files, for it is no list."""
        for file in self._files if len(self._files) > 1 else ():
            for part, items in file.data.items():
                if not isinstance(items, list):
                    given = "empty (null)" if items is None else shown(items)
                    message = f"is {given}; use a list"
                    yield file, Problem(path=(part,), message=message)

    def place(self, path: PartPath) -> tuple[Written, PartPath]:
        """The file that says what is at a path of the whole, and its path there."""
        part, *rest = path or ("",)
        has_number = bool(rest) and isinstance(rest[0], int)
        for file, begins in zip(
            reversed(self._files), reversed(self._begins), strict=False
        ):
            begin = begins.get(str(part))
            if begin is None:
                continue
            if has_number and cast("int", rest[0]) >= begin:
                return file, (part, cast("int", rest[0]) - begin, *rest[1:])
            if not has_number:
                return file, path
        return self._files[0], path


def _unreadable(path: Path, error: OSError) -> CatalogError:
    return CatalogError(
        f"{path}: cannot be read ({error.strerror}); give the path of a YAML file"
    )
