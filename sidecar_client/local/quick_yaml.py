"""Plain YAML to values and their lines, by the parser in C: some ten times as fast.

What is rare (tags, several documents) is left to `yaml_text`, which knows all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, cast

import yaml

from sidecar_client.local import yaml_text
from sidecar_client.local.problem import Path, Problem
from sidecar_client.local.yaml_lines import written_twice
from sidecar_client.local.yaml_text import MOST_LEVELS, Loader, Mark, too_deep, too_many

_TAG: Final = "tag:yaml.org,2002:"
_TEXT, _NULL, _BOOL = f"{_TAG}str", f"{_TAG}null", f"{_TAG}bool"
_MERGE: Final = f"{_TAG}merge"
_Lines: TypeAlias = dict[str, int] | list[int]


# The loader is little else than the parser, and lets its events be taken.
_PARSER: Final[Any] = getattr(yaml, "CSafeLoader", None)


class NotPlain(Exception):
    """YAML that has to be read otherwise: because of what, and where that is."""

    def __init__(self, what: str = "", mark: Mark | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.mark = mark


@dataclass(slots=True, kw_only=True)
class _Open:
    """A mapping or a list whose end has not come yet."""

    value: Any
    lines: _Lines
    mark: Mark
    anchor: str | None
    before: int
    """How many values came before it."""
    deepest: int
    key: Any = None
    """Of a mapping, the key whose value is to come."""
    text: str = ""
    """As it is written."""
    is_keyed: bool = False
    merged: list[dict[Any, Any]] = field(default_factory=list[dict[Any, Any]])
    """What it takes over from other mappings, the last one counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Anchored:
    """A value that aliases may repeat."""

    value: Any
    mark: Mark
    values: int
    levels: int


class QuickYaml:
    """The values of a text, where each is written, and keys that are written twice.

    Raises `NotPlain` for what it does not read, and `yaml.YAMLError`.
    """

    def __init__(self, text: str) -> None:
        if _PARSER is None:
            raise NotPlain  # PyYAML was built without it.
        self._loader: Any = Loader("")
        self._numbers = {
            f"{_TAG}int": self._loader.construct_yaml_int,
            f"{_TAG}float": self._loader.construct_yaml_float,
        }
        self._count = 0
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Anchored] = {}
        self._lines: dict[int, _Lines] = {}
        self._taken: list[dict[Any, Any]] = []
        """Kept, so that nothing else is known by their identity."""
        self.repeated: list[Problem] = []
        self.root: Any = None
        self.first_line = 1
        self._read(text)
        del self._loader, self._numbers, self._stack, self._anchors

    def line(self, path: Path) -> int:
        """The line where the path leads, or gets closest to."""
        here, line = self.root, self.first_line
        for step in path:
            known = self._lines.get(id(here))
            if isinstance(known, dict) and str(step) in known and step in here:
                line = known[str(step)]
            elif isinstance(known, list) and isinstance(step, int) and step < len(here):
                line = known[step]
            else:
                break
            here = here[step]
        return line

    def _read(self, text: str) -> None:
        documents = 0
        try:
            parser = _PARSER(text)
            while parser.check_event():
                event: Any = parser.get_event()
                kind = cast("type[yaml.Event]", type(event))
                if kind is yaml.ScalarEvent:
                    self._scalar(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self._begin(event)
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self._end()
                elif kind is yaml.AliasEvent:
                    self._alias(event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        raise NotPlain("a second document", event.start_mark)
                    if event.tags:
                        raise NotPlain("a %TAG", event.start_mark)
        except UnicodeError:
            raise NotPlain from None

    def _begin(self, event: Any) -> None:
        if event.tag is not None:
            raise NotPlain("a tag", event.start_mark)
        self._counted(event.start_mark)
        is_mapping = type(event) is yaml.MappingStartEvent
        self._stack.append(
            _Open(
                value={} if is_mapping else [],
                lines={} if is_mapping else [],
                mark=event.start_mark,
                anchor=event.anchor,
                before=self._count - 1,
                deepest=len(self._stack) + 1,
            )
        )

    def _end(self) -> None:
        done = self._stack.pop()
        if done.merged:
            self._take_over(done)
        self._lines[id(done.value)] = done.lines
        levels = done.deepest - len(self._stack)
        if levels > MOST_LEVELS:
            raise too_deep(done.mark)  # Through aliases.
        if done.anchor is not None:
            values = self._count - done.before
            self._anchor(done.anchor, done.value, done.mark, values, levels)
        if self._stack:
            parent = self._stack[-1]
            parent.deepest = max(parent.deepest, done.deepest)
        self._add(done.value, None, done.mark)

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        self._counted(mark)
        value = self._value(event)
        if event.anchor is not None:
            self._anchor(event.anchor, value, mark, 1, 1)
        if self._stack:
            parent = self._stack[-1]
            parent.deepest = max(parent.deepest, len(self._stack) + 1)
        self._add(value, event.value, mark)

    def _value(self, event: Any) -> Any:
        if event.tag is not None:
            raise NotPlain("a tag", event.start_mark)
        text: str = event.value
        is_plain = event.implicit[0]
        if not is_plain:
            return text
        tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
        if tag == _TEXT:
            return text
        if tag == _NULL:
            return None
        if tag == _BOOL:
            return self._loader.bool_values[text.lower()]
        read = self._numbers.get(tag)
        if read is None:
            if tag == _MERGE and self._awaits_key() and event.anchor is None:
                return _MERGE
            # A default value, or a merge in another place.
            raise NotPlain(f"a {text!r}", event.start_mark)
        try:
            return read(yaml.ScalarNode(tag, text, event.start_mark))
        except (ArithmeticError, ValueError):
            raise NotPlain("a number that cannot be", event.start_mark) from None

    def _alias(self, event: Any) -> None:
        found = self._anchors.get(event.anchor)
        if found is None:
            raise NotPlain("an alias of nothing, or of itself,", event.start_mark)
        self._counted(event.start_mark, found.values)
        if self._stack:
            parent = self._stack[-1]
            parent.deepest = max(parent.deepest, len(self._stack) + found.levels)
        self._add(found.value, None, found.mark)

    def _anchor(
        self, name: str, value: Any, mark: Mark, values: int, levels: int
    ) -> None:
        if name in self._anchors:
            raise NotPlain("an anchor that was there already", mark)
        self._anchors[name] = _Anchored(
            value=value, mark=mark, values=values, levels=levels
        )

    def _counted(self, mark: Mark, values: int = 1) -> None:
        if len(self._stack) >= MOST_LEVELS:
            raise too_deep(mark)
        self._count += values
        if self._count > yaml_text.MOST_VALUES:
            # The part of the catalog that is read.
            raise too_many(self._stack[:2][-1].mark if self._stack else mark)

    def _add(self, value: Any, text: str | None, mark: Mark) -> None:
        """Put a value that is done into what it is a part of; `text` is a scalar's."""
        if not self._stack:
            self.root = value
            self.first_line = mark.line + 1
            return
        parent = self._stack[-1]
        if isinstance(parent.lines, list):
            parent.value.append(value)
            parent.lines.append(mark.line + 1)
        elif parent.is_keyed:
            if parent.key is _MERGE:
                self._merge(parent, value, mark)
            else:
                parent.value[parent.key] = value
            parent.is_keyed = False
        else:
            self._key(parent, parent.lines, value, text, mark)

    def _key(
        self,
        parent: _Open,
        lines: dict[str, int],
        value: Any,
        text: str | None,
        mark: Mark,
    ) -> None:
        if text is None:
            raise NotPlain("a key that is no single value", mark)
        if value is _MERGE and parent.merged:
            raise NotPlain("a second '<<' in one mapping", mark)
        if text in lines:
            self.repeated.append(written_twice(self._path(), text, mark.line + 1))
        lines[text] = mark.line + 1
        parent.key, parent.text, parent.is_keyed = value, text, True

    def _awaits_key(self) -> bool:
        if not self._stack:
            return False
        parent = self._stack[-1]
        return isinstance(parent.lines, dict) and not parent.is_keyed

    def _merge(self, parent: _Open, value: Any, mark: Mark) -> None:
        """Note what a `<<` brings: a mapping, or several of which the first counts."""
        sources: list[Any] = [value]
        if isinstance(value, list):
            sources = [*cast("Any", value)]
        if not all(isinstance(source, dict) for source in sources):
            raise NotPlain("a '<<' of what is no mapping", mark)
        parent.merged = [*reversed(sources)]
        self._taken += parent.merged

    def _take_over(self, done: _Open) -> None:
        """What a mapping takes over comes first; what it says itself counts more."""
        value: dict[Any, Any] = {}
        lines: dict[str, int] = {}
        for source in done.merged:
            value.update(source)
            lines.update(cast("dict[str, int]", self._lines[id(source)]))
        value.update(done.value)
        lines.update(cast("dict[str, int]", done.lines))
        done.value, done.lines = value, lines

    def _path(self) -> Path:
        """Where the innermost part is that is open."""
        steps: list[str | int] = []
        for part in self._stack[:-1]:
            is_list = isinstance(part.lines, list)
            steps.append(len(part.value) if is_list else part.text)
        return tuple(steps)
