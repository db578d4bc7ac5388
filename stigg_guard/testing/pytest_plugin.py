"""The pytest plugin: fixtures and markers of the testing kit, by entry point.

It only hands over what the kit has, and imports it when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stigg_guard.testing import override_entitlements as Override
    from stigg_guard.testing import recorded_usage as Recorded
    from stigg_guard.testing.clocked_sidecar import ClockedSidecar

# Those who run the contract want its assertions explained.
pytest.register_assert_rewrite("stigg_guard.testing.contract")

_MARKED = "_stigg_guard_entitlements"
_OPTIONS = ("customer", "resource", "unknown")
_MARKERS = (
    "entitlements(by_feature, /, *, customer, resource, unknown, **by_feature): what"
    " customers are entitled to in this test (stigg_guard).",
    "catalog(path_or_mapping): the catalog of the fixture `local_sidecar`"
    " (stigg_guard).",
)


def pytest_configure(config: pytest.Config) -> None:
    """Make the markers known."""
    for line in _MARKERS:
        config.addinivalue_line("markers", line)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Have a marked test begin with its entitlements, before its other fixtures."""
    names: Any = getattr(item, "fixturenames", None)
    if names is None or _MARKED in names:
        return
    if item.get_closest_marker("entitlements"):
        names.insert(0, _MARKED)


@pytest.fixture(name=_MARKED)
def marked_entitlements(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the markers of a test say, the nearest one innermost."""
    marks = [*request.node.iter_markers("entitlements")]
    yield from _entered(_override_of(mark) for mark in reversed(marks))


@pytest.fixture
def override_entitlements(
    request: pytest.FixtureRequest,
) -> Iterator[Callable[..., Override]]:
    """Override entitlements from the call on until the test ends.

    Takes what `stigg_guard.testing.override_entitlements` takes, and holds for the
    whole process.
    """
    entered: list[Override] = []

    def override(*given: Any, **options: Any) -> Override:
        from stigg_guard.testing import override_entitlements

        made = override_entitlements(*given, **options).enter(shared=True)
        entered.append(made)
        return made

    yield override
    _end_all(entered)


@pytest.fixture
def recorded_usage() -> Iterator[Recorded]:
    """What is reported while the test runs, with assertions about it."""
    from stigg_guard.testing import recorded_usage

    recorded = recorded_usage().enter(shared=True)
    yield recorded
    recorded.leave()


@pytest.fixture
def local_sidecar(request: pytest.FixtureRequest) -> Iterator[ClockedSidecar]:
    """A real sidecar on a free port, for guards with `target=local_sidecar.target`.

    Its catalog is the one of the marker `catalog`, else the demo catalog; its `clock`
    is moved by the test.
    """
    from stigg_guard.testing.clocked_sidecar import ClockedSidecar

    with ClockedSidecar(_catalog(request)) as running:
        yield running


def _catalog(request: pytest.FixtureRequest) -> Any:
    mark = request.node.get_closest_marker("catalog")
    if mark is None:
        return None
    if len(mark.args) != 1 or mark.kwargs:
        raise pytest.UsageError(
            f"@pytest.mark.catalog was given {mark.args!r} and {mark.kwargs!r}; give"
            ' one path or mapping, such as @pytest.mark.catalog("plans.yaml").'
        )
    (given,) = mark.args
    if not isinstance(given, str | Path) or Path(given).is_absolute():
        return given
    places = (request.path.parent / given, request.config.rootpath / given)
    for place in places:
        if place.is_file():
            return place
    raise pytest.UsageError(
        f'@pytest.mark.catalog("{given}") is neither {places[0]} nor {places[1]}; give'
        " a path beside the test file or below pytest's root."
    )


def _override_of(mark: pytest.Mark) -> Override:
    from stigg_guard.testing import override_entitlements

    by_name = {name: v for name, v in mark.kwargs.items() if name not in _OPTIONS}
    options = {name: v for name, v in mark.kwargs.items() if name in _OPTIONS}
    if len(mark.args) > 1 or not (mark.args or by_name):
        raise pytest.UsageError(
            f"@pytest.mark.entitlements was given {mark.args!r}; give one mapping by"
            ' feature id, such as @pytest.mark.entitlements({"feature-1": True}).'
        )
    given: Any = mark.args[0] if mark.args else {}
    return override_entitlements({**given, **by_name}, **options)


def _entered(overrides: Iterator[Override]) -> Iterator[None]:
    entered = [override.enter(shared=True) for override in overrides]
    yield
    _end_all(entered)


def _end_all(entered: list[Override]) -> None:
    """End all of them, the last one first; the first error is raised at the end."""
    errors: list[AssertionError] = []
    for override in reversed(entered):
        try:
            override.end()
        except AssertionError as error:
            errors.append(error)
    if errors:
        raise errors[0]
