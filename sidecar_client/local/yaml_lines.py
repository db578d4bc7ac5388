"""On which line of a text something is, and which keys are written twice.

The tree of a text is read here; making it (`yaml_text`) is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import yaml

from sidecar_client.local.problem import Path, Problem
from sidecar_client.local.shown import shown


class Lines(Protocol):
    """Knows the lines of one text."""

    def line(self, path: Path) -> int:
        """The line where the path leads, or gets closest to."""
        ...


class TreeLines:
    """The lines of a tree."""

    def __init__(self, root: yaml.Node) -> None:
        self._root = root

    def line(self, path: Path) -> int:
        """The line where the path leads, or gets closest to."""
        node = self._root
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


def written_twice(path: Path, key: str, line: int) -> Problem:
    """A key written twice in one mapping: YAML would silently take the last."""
    return Problem(
        path=path,
        message=f"{shown(key)} is written twice, again on line {line}; write it once",
    )


def keys_written_twice(root: yaml.Node | None) -> Iterator[Problem]:
    """All such keys of a tree."""
    seen: set[int] = set()
    waiting: list[tuple[Path, yaml.Node]] = [((), root)] if root else []
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
                    yield written_twice(path, name, key.start_mark.line + 1)
                keys.add(name)
                waiting.append(((*path, name), value))
