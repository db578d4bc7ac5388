"""The quick reader of YAML: it says what the exact one says, or leaves it to that."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, cast

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import catalog_reading, load_catalog
from sidecar_client.local.problem import Path as Place
from sidecar_client.local.quick_yaml import NotPlain, QuickYaml
from sidecar_client.local.yaml_lines import TreeLines, keys_written_twice
from sidecar_client.local.yaml_text import CatalogError, YamlText

DEMO: Final = files("sidecar_client.local").joinpath("demo.yaml").read_text("utf-8")
FEATURES: Final = "features:\n" + "".join(
    f"  - {{id: f{number}, type: metered, meter: incremental}}\n"
    for number in range(3000)
)
_signs: Final = st.sampled_from(
    [
        *("&a ", "*a", "<<: ", "!!int ", "? ", "%", "- ", "{", "[", "]", "}", ": "),
        *("\n", "\n  ", " #", "'", '"', "|\n", ">\n", "~", "1_000", "0x1f", "1:30"),
        *("1e3", ".5", "yes", "---\n", "a: b\n", "a: c\n", "é", "\u2028", ".inf"),
    ]
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Some lines of the demo catalog, with odd signs in them."""
    lines = DEMO.splitlines(keepends=True)
    begin = draw(st.integers(0, len(lines) - 1))
    text = "".join(lines[begin : begin + draw(st.integers(1, 12))])
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_signs) + text[at + draw(st.integers(0, 3)) :]
    return text


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """The way to each part of a value."""
    yield here
    parts: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        known: dict[Any, Any] = cast("Any", value)
        parts = list(known.items())
    elif isinstance(value, list):
        items: list[Any] = cast("Any", value)
        parts = list(enumerate(items))
    for step, part in parts:
        yield from places(part, (*here, step))


@given(text=texts())
@example(text=DEMO)
@example(text="a: &x [1, {b: 2}]\nc: *x\nd: [*x, *x]\n")
@example(text="a: 1\nb:\n  a: 1\n  a: 2\na: 3\n")
@example(text="1: a\ntrue: b\n~: c\n1.5: d\n")
@example(text="a: &x {b: 1, c: 2}\nd: {c: 3, <<: *x, e: 4}\n")
@example(text="a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne:\n  <<: [*x, *y]\n  f: {<<: *y}\n")
@example(text="a: &x {b: 1}\nc: &y {<<: *x, d: 3}\ne: {<<: {<<: *y, d: 4}, d: 5}\n")
@example(text="a: {<<: []}\nb: {<<: {c: 1, c: 2}}\n<<: {d: {e: 1}}\n")
@example(text="")
@example(text="# nothing\n")
def test_it_reads_what_the_exact_reader_reads(text: str) -> None:
    try:
        quick = QuickYaml(text)
        exact = YamlText(text, "exact")
    except (NotPlain, yaml.YAMLError, CatalogError):
        return
    repeated = {repr(problem) for problem in keys_written_twice(exact.node)}
    assert {repr(problem) for problem in quick.repeated} == repeated
    node, value = exact.node, exact.values()
    # By their looks, for NaN is not itself, and 1 is True.
    assert repr(quick.root) == repr(value)
    if node is not None:
        lines = TreeLines(node)
        for place in places(value):
            assert quick.line(place) == lines.line(place), place


@pytest.mark.parametrize(
    "text",
    [
        "a: !!int 1\n",
        "a: !own 1\n",
        "a: {<<: 1}\n",
        "a: {<<: {b: 1}, <<: {c: 1}}\n",
        "a: <<\n",
        "a: *b\n",
        "a: &b [*b]\n",
        "a: &b 1\nc: &b 2\n",
        "? [a]\n: 1\n",
        "a: 1\n---\nb: 1\n",
        f"a: {'9' * 5000}\n",
        "a: '\ud800'\n",
    ],
)
def test_what_is_rare_is_left_to_the_exact_reader(text: str) -> None:
    with pytest.raises(NotPlain):
        QuickYaml(text)


def test_catalog_is_read_where_there_is_no_parser_in_c(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = load_catalog()
    monkeypatch.setattr("sidecar_client.local.quick_yaml._PARSER", None)
    assert load_catalog() == expected


def test_large_catalog_with_merges_is_read_without_the_slow_reader(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(catalog_reading, "YamlText")
    path = tmp_path / "plans.yaml"
    first = "features:\n  - &base {id: a, type: metered, meter: incremental}\n"
    more = "".join(f"  - {{<<: *base, id: b{n}}}\n" for n in range(20_000))
    path.write_text(first + more)
    features = load_catalog(path).features
    assert len(features) == 20_001
    assert {(item.type, item.meter) for item in features} == {
        ("metered", "incremental")
    }


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.yaml", FEATURES, None),
        (
            "b.yaml",
            FEATURES + "  - {id: [\n",
            ":3003:1: is not YAML: did not find expected node content",
        ),
        (
            "c.yaml",
            FEATURES + "  - id: a\n    id: b\n",
            ":3002: features[3000]: 'id' is written twice, again on line 3003",
        ),
        (
            "d.yaml",
            FEATURES + "  - id: a\n    type: bool\n",
            ":3003: features[3000].type: is 'bool'; use 'boolean', 'numeric'",
        ),
        (
            "e.yaml",
            FEATURES + "customers:\n" + "  - {id: c}\n" * 80_000,
            ":3003:3: has more than 250,000 values, those that aliases repeat included",
        ),
        (
            "f.json",
            '{"features": [nope' + ',\n{"id": "a"}' * 10_000 + "]}",
            ":1:15: is not JSON: Expecting value",
        ),
        (
            "g.json",
            '{"features": [{"id": "a", "type": "boolean"}'
            + ',\n{"id": "a", "type": "boolean"}' * 10_000
            + "]}",
            ":2: features[1].id: the id 'a' is already taken in features",
        ),
        ("h.json", '{"a": [\n' + "1," * 60_000, ":2:120001: is not JSON"),
        (
            "j.yaml",
            FEATURES + "  - {id: !!str a}\n" + "  - {id: b}\n" * 30_000,
            ":3002: has a tag here, which more than 400,000 characters must not have",
        ),
        ("i.json", '{"a": [\n' + "[" * 120_000, ":2:49: is nested too deeply"),
    ],
)
def test_large_catalog_is_read_or_refused_without_the_slow_reader(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    text: str,
    problem: str | None,
) -> None:
    monkeypatch.delattr(catalog_reading, "YamlText")
    path = tmp_path / name
    path.write_text(text)
    if problem is None:
        assert len(load_catalog(path).features) == 3000
        return
    with pytest.raises(ConfigurationError) as caught:
        load_catalog(path)
    assert str(caught.value).startswith(f"{path}{problem}")
