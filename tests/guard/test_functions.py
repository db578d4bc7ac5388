"""Users' functions that take more than the request, by their parameters' names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from stigg_guard.functions import NamedFunction, is_for_afterwards, named, names_of

GIVEN: dict[str, object] = {
    "arguments": "arguments",
    "result": "result",
    "response": "response",
    "usage": 2,
}


def of_request(request: Any) -> Any:
    return request


def of_result(result: Any) -> Any:
    return result


def of_both(request: Any, result: Any) -> Any:
    return request, result


def the_other_way_round(result: Any, whatever: Any) -> Any:
    return whatever, result


def with_a_default(result: Any, factor: int = 3) -> Any:
    return result, factor


def request_by_keyword(*, result: Any, request: Any = None) -> Any:
    return request, result


def positional(connection: Any, /, usage: Any) -> Any:
    return connection, usage


def anything(*given: Any, response: Any, **more: Any) -> Any:
    return *given, response, more


CASES: list[tuple[Callable[..., Any], object]] = [
    (of_result, "result"),
    (of_both, ("request", "result")),
    (the_other_way_round, ("request", "result")),
    (with_a_default, ("result", 3)),
    (partial(with_a_default, factor=4), ("result", 4)),
    (request_by_keyword, ("request", "result")),
    (positional, ("request", 2)),
    (anything, ("request", "response", dict[str, Any]())),
]


@pytest.mark.parametrize(("function", "found"), CASES)
def test_function_gets_what_it_names_and_the_request_where_it_takes_one(
    function: Callable[..., Any], found: object
) -> None:
    assert named(function)("request", **GIVEN) == found


@pytest.mark.parametrize("function", [of_request, len, 3, None])
def test_what_names_nothing_stays_as_it_is(function: Any) -> None:
    assert named(function) is function
    assert names_of(function) == frozenset()


def test_named_function_stays_as_it_is() -> None:
    function = named(of_result)
    assert isinstance(function, NamedFunction)
    assert named(function) is function


def test_only_arguments_are_known_before_the_view() -> None:
    def of_arguments(request: Any, arguments: Any) -> Any: ...

    assert not is_for_afterwards(named(of_arguments))
    assert is_for_afterwards(named(of_both))
    assert not is_for_afterwards(of_request)


def test_function_that_takes_what_nobody_gives_is_refused() -> None:
    def of_too_much(request: Any, session: Any, result: Any) -> Any: ...

    with pytest.raises(TypeError, match="takes request, session; give a function of"):
        named(of_too_much)
