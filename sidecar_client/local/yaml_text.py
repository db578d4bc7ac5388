"""YAML to plain values and the tree that knows their lines, safe with hostile text.

Bounds and the errors of YAML live here; what a catalog must say does not.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import yaml

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.shown import limited, shown, visible

MOST_VALUES = 250_000
"""How many values a file may have, each counted as often as aliases repeat it."""
MOST_LEVELS = 50
"""How deep values may be nested, through aliases too."""
_MOST_MESSAGE = 300
_TAG = "tag:yaml.org,2002:"
# What the constructors of single values raise, besides YAML's own errors.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Mark(Protocol):
    """A place in a text."""

    line: int
    column: int


class CatalogError(ConfigurationError):
    """A catalog that cannot be served: every problem, its place and its cure."""


class Unfit(yaml.YAMLError):
    """YAML that is well-formed and still cannot be read; the message and its mark."""

    def __init__(self, problem: str, problem_mark: Mark | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = problem_mark


class Loader(yaml.SafeLoader):
    """YAML within bounds, each error with its line.

    Times stay text: the catalog reads them, and knows their line.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [rule for rule in rules if rule[0] != f"{_TAG}timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = self._count = 0
        self._extents: dict[int, tuple[int, int]] = {}
        """Of each finished node, by identity: its values and its levels."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node:
        """The next node; refused when it is too large, too deep or inside itself."""
        event: yaml.Event = cast("Any", self).peek_event()
        self._count += 1
        if self._count > MOST_VALUES:
            raise too_many(event.start_mark)
        self._level += 1
        if self._level > MOST_LEVELS:
            raise too_deep(event.start_mark)
        node = cast("yaml.Node", super().compose_node(parent, index))
        self._level -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._extents[id(node)] = self._extent(node)
        elif id(node) not in self._extents:
            raise Unfit("holds itself through an alias; write it out", event.start_mark)
        return node

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        extents = [self._extents[id(child)] for child in _children(node)]
        values = 1 + sum(values for values, _ in extents)
        levels = 1 + max((levels for _, levels in extents), default=0)
        if values > MOST_VALUES:
            raise too_many(node.start_mark)
        if levels > MOST_LEVELS:
            raise too_deep(node.start_mark)
        return values, levels

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """The node's value; one that its type cannot read is an error of its line."""
        try:
            return cast("Any", super()).construct_object(node, deep=deep)
        except _UNREADABLE:
            tag = str(node.tag).replace(_TAG, "!!")
            value = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise Unfit(
                f"{value} cannot be read as {shown(tag)[1:-1]}; correct it",
                node.start_mark,
            ) from None


class YamlText:
    """The tree of a text, and then its values; `name` is the file in errors."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        with self._readable_errors():
            self._loader = Loader(text)
            with _as_yaml_errors(self._loader):
                self.node: yaml.Node | None = self._loader.get_single_node()
                """As it was written; `values` puts in what its merges bring."""

    def values(self) -> object:
        """What the text says; None if it says nothing."""
        if self.node is None:
            return None
        with self._readable_errors(), _as_yaml_errors(self._loader):
            return cast("Any", self._loader).construct_document(self.node)

    @contextmanager
    def _readable_errors(self) -> Generator[None]:
        try:
            yield
        except yaml.YAMLError as error:
            raise CatalogError(broken(error, self._text, self._name)) from None


@contextmanager
def _as_yaml_errors(loader: Loader) -> Generator[None]:
    """Escapes and directives that are out of range fail without YAML's own error."""
    try:
        yield
    except RecursionError:
        raise too_deep(loader.get_mark()) from None
    except _UNREADABLE:
        raise Unfit(
            "cannot be read: an escape or a version here is out of range; correct it",
            loader.get_mark(),
        ) from None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return cast("list[yaml.Node]", node.value)
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        return [part for pair in pairs for part in pair]
    return []


def too_many(mark: Mark | None) -> Unfit:
    """The error of what has more values than a catalog may have."""
    return Unfit(
        f"has more than {MOST_VALUES:,} values, those that aliases repeat "
        "included; make it smaller",
        mark,
    )


def too_deep(mark: Mark | None) -> Unfit:
    """The error of what is nested deeper than a catalog may be."""
    return Unfit("is nested too deeply; write it flatter", mark)


def broken(error: yaml.YAMLError, text: str, name: str) -> str:
    """An error of YAML as a line of ours."""
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        return (
            f"{name}:{line}: has the character U+{error.character:04X}, "
            "which YAML does not allow; remove it"
        )
    mark = getattr(error, "problem_mark", None)
    problem = visible(getattr(error, "problem", None) or str(error))
    problem = limited(problem, _MOST_MESSAGE)
    where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    if isinstance(error, Unfit):
        return f"{where}: {problem}"
    return f"{where}: is not YAML: {problem}"
