"""YAML to plain values and the tree that knows their lines, safe with hostile text.

Bounds and the errors of YAML live here; what a catalog must say does not.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import yaml

from sidecar_client.errors import ConfigurationError
from sidecar_client.local.json_text import NotJson, read_json
from sidecar_client.local.shown import limited, shown, visible

MOST_VALUES = 250_000
"""How many values a file may have, each counted as often as aliases repeat it."""
MOST_LEVELS = 50
"""How deep values may be nested, through aliases too."""
_MOST_MESSAGE = 300
_TAG = "tag:yaml.org,2002:"
# What the constructors of single values raise, besides YAML's own errors.
_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class _Mark(Protocol):
    line: int
    column: int


class CatalogError(ConfigurationError):
    """A catalog that cannot be served: every problem, its place and its cure."""


class _Unfit(yaml.YAMLError):
    """YAML that is well-formed and still cannot be read; the message and its mark."""

    def __init__(self, problem: str, problem_mark: _Mark | None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.problem_mark = problem_mark


class _Loader(yaml.SafeLoader):
    """YAML within bounds, each error with its line.

    Times stay text: the catalog reads them, and knows their line.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [rule for rule in rules if rule[0] != f"{_TAG}timestamp"]
        for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._level = 0
        self._extents: dict[int, tuple[int, int]] = {}
        """Of each finished node, by identity: its values and its levels."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node:
        """The next node; refused when it is too large, too deep or inside itself."""
        event: yaml.Event = cast("Any", self).peek_event()
        self._level += 1
        if self._level > MOST_LEVELS:
            raise _too_deep(event.start_mark)
        node = cast("yaml.Node", super().compose_node(parent, index))
        self._level -= 1
        if not isinstance(event, yaml.AliasEvent):
            self._extents[id(node)] = self._extent(node)
        elif id(node) not in self._extents:
            raise _Unfit(
                "holds itself through an alias; write it out", event.start_mark
            )
        return node

    def _extent(self, node: yaml.Node) -> tuple[int, int]:
        extents = [self._extents[id(child)] for child in _children(node)]
        values = 1 + sum(values for values, _ in extents)
        levels = 1 + max((levels for _, levels in extents), default=0)
        if values > MOST_VALUES:
            raise _Unfit(
                f"has more than {MOST_VALUES:,} values, those that aliases repeat "
                "included; make it smaller",
                node.start_mark,
            )
        if levels > MOST_LEVELS:
            raise _too_deep(node.start_mark)
        return values, levels

    def construct_object(self, node: yaml.Node, deep: bool = False) -> object:
        """The node's value; one that its type cannot read is an error of its line."""
        try:
            return cast("Any", super()).construct_object(node, deep=deep)
        except _UNREADABLE:
            tag = str(node.tag).replace(_TAG, "!!")
            value = shown(node.value) if isinstance(node, yaml.ScalarNode) else "this"
            raise _Unfit(
                f"{value} cannot be read as {shown(tag)[1:-1]}; correct it",
                node.start_mark,
            ) from None


class YamlText:
    """The tree of a text, and then its values; `name` is the file in errors."""

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        with self._readable_errors():
            self._loader = _Loader(text)
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
            raise CatalogError(_broken(error, self._text, self._name)) from None


class JsonText:
    """The same for a text of JSON, whose lines are those of a tree of YAML.

    Its values are JSON's own: YAML would take other words for numbers.
    """

    def __init__(self, text: str, name: str) -> None:
        self._text = text
        self._name = name
        self.node = self._tree()

    def _tree(self) -> yaml.Node | None:
        # Between values, where alone JSON allows it, YAML does not like a tab.
        try:
            loader = _Loader(self._text.replace("\t", " "))
            with _as_yaml_errors(loader):
                return loader.get_single_node()
        except _Unfit as error:
            raise CatalogError(_broken(error, self._text, self._name)) from None
        except yaml.YAMLError:
            return None  # Signs and long keys that YAML does not take; or no JSON.

    def values(self) -> object:
        """What the text says."""
        try:
            return read_json(self._text)
        except NotJson as error:
            if not error.line:
                told = f"{self._name}: cannot be read ({error}); correct it"
                raise CatalogError(told) from None
            where = f"{self._name}:{error.line}:{error.column}"
            raise CatalogError(f"{where}: is not JSON: {error.problem}") from None


@contextmanager
def _as_yaml_errors(loader: _Loader) -> Generator[None]:
    """Escapes and directives that are out of range fail without YAML's own error."""
    try:
        yield
    except RecursionError:
        raise _too_deep(loader.get_mark()) from None
    except _UNREADABLE as error:
        raise _Unfit(
            f"cannot be read ({error}); correct it", loader.get_mark()
        ) from None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return cast("list[yaml.Node]", node.value)
    if isinstance(node, yaml.MappingNode):
        pairs = cast("list[tuple[yaml.Node, yaml.Node]]", node.value)
        return [part for pair in pairs for part in pair]
    return []


def _too_deep(mark: _Mark | None) -> _Unfit:
    return _Unfit("is nested too deeply; write it flatter", mark)


def _broken(error: yaml.YAMLError, text: str, name: str) -> str:
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
    if isinstance(error, _Unfit):
        return f"{where}: {problem}"
    return f"{where}: is not YAML: {problem}"
