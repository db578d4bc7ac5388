"""Catalogs that nobody writes in good faith: served, or refused with clear words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from importlib.resources import files
from typing import Any, Final, cast

import psutil
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar_client.errors import ConfigurationError
from sidecar_client.local import LocalSidecar, load_catalog
from sidecar_client.protocol import sidecar_pb2 as pb
from tests.local.hostile.target import MEGABYTE
from tests.local.hostile.values import values
from tests.local.wire import ask

TEXT: Final = files("sidecar_client.local").joinpath("demo.yaml").read_text("utf-8")
DEMO: Final[dict[str, Any]] = yaml.safe_load(TEXT)
_LONGEST: Final = 15_000
_Place = tuple[str | int, ...]

_keys = st.text(max_size=8) | st.integers()
_values = values | st.binary(max_size=5) | st.dictionaries(_keys, values, max_size=3)


def places(value: Any, here: _Place = ()) -> Iterator[_Place]:
    """The way to each part of a catalog, itself included."""
    yield here
    parts: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        parts = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        items: list[Any] = cast("Any", value)
        parts = list(enumerate(items))
    for step, part in parts:
        yield from places(part, (*here, step))


PLACES: Final = [place for place in places(DEMO) if place]


def _replaced(catalog: Any, place: _Place, change: Callable[[Any, Any], None]) -> None:
    """Change a part, if there is one where the way leads."""
    part = catalog
    for step in place[:-1]:
        try:
            part = part[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(part, (dict, list)):
        try:
            change(part, place[-1])
        except (KeyError, IndexError, TypeError):
            return


@st.composite
def changed_demo(draw: st.DrawFn) -> Any:
    """The demo catalog with some parts missing, moved or replaced by what is odd."""
    catalog = copy.deepcopy(DEMO)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.sampled_from(PLACES))
        what = draw(st.integers(0, 3))
        if what == 0:
            _replaced(catalog, place, lambda part, key: part.__delitem__(key))
            continue
        if what == 1:
            value = copy.deepcopy(_at(draw(st.sampled_from(PLACES))))
        else:
            value = draw(_values)
        _replaced(catalog, place, partial(_set, value))
    return catalog


def _set(value: Any, part: Any, key: Any) -> None:
    part[key] = value


def _at(place: _Place) -> Any:
    part: Any = DEMO
    for step in place:
        part = part[step]
    return part


def check_served_or_refused(load: Callable[[], Any]) -> None:
    """A catalog that is taken can be served; one that is not says why, in short."""
    try:
        catalog = load()
    except ConfigurationError as error:
        said = str(error)
        assert said.strip()
        assert all(line.isprintable() for line in said.split("\n"))
        assert len(said) < _LONGEST
        return
    with LocalSidecar(catalog) as sidecar:
        for customer in ["customer-demo-01", *(c.id for c in catalog.customers[:2])]:
            ask(sidecar, pb.GetEntitlementsStateV2Request(customer_id=customer))


@given(catalog=changed_demo())
def test_changed_catalog_is_served_or_refused(catalog: Any) -> None:
    check_served_or_refused(lambda: load_catalog(catalog))


@given(catalog=st.dictionaries(st.sampled_from(list(DEMO)) | st.text(), _values))
@example(catalog={"features": [{"literal[": None, "[key]": 1}]})
@example(catalog={"\x1b[2J": None})
def test_anything_is_served_or_refused(catalog: Any) -> None:
    check_served_or_refused(lambda: load_catalog(catalog))


@st.composite
def changed_text(draw: st.DrawFn) -> str:
    """The demo catalog's text with some of it cut, repeated or replaced."""
    text = TEXT
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(len(text), begin + 30)))
        odd = st.sampled_from(
            ["&a ", "*a", "<<: ", "!!int ", "? ", "%", "\t", "- ", "{"]
        )
        text = text[:begin] + draw(odd | st.text(max_size=5)) + text[end:]
    return text


@given(text=changed_text() | st.text(max_size=200))
def test_file_with_anything_in_it_is_served_or_refused(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    file = tmp_path_factory.getbasetemp() / "catalog.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    check_served_or_refused(lambda: load_catalog(file))


def test_ten_thousand_customers_by_two_hundred_features_are_served() -> None:
    memory = psutil.Process().memory_info
    before = memory().rss
    features = [
        {"id": f"feature-{number}", "type": "metered", "meter": "incremental"}
        for number in range(200)
    ]
    limits = {feature["id"]: {"limit": 10} for feature in features}
    customers = [
        {"id": f"customer-{number}", "subscriptions": [{"plan": "p"}]}
        for number in range(10_000)
    ]
    catalog = load_catalog(
        {
            "features": features,
            "plans": [{"id": "p", "entitlements": limits}],
            "customers": customers,
        }
    )
    with LocalSidecar(catalog) as sidecar:
        question = pb.GetEntitlementsStateV2Request(customer_id="customer-9999")
        answer: pb.GetEntitlementsStateV2Response = ask(sidecar, question)
        assert len(answer.entitlements) == 200
        assert all(part.has_access for part in answer.entitlements)
    assert (memory().rss - before) / MEGABYTE < 300
