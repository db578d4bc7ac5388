"""What a decorator takes, and the one error for what it does not."""

from __future__ import annotations

import os.path
from collections.abc import Callable
from typing import Any

import pytest

from stigg_guard import Requirement, Settings, feature, guard_exempt, specs_of
from stigg_guard.decorators import Decorators, is_exempt
from stigg_guard.rule_settings import read_rule
from stigg_guard.specs import feature_spec, meter_spec
from stigg_guard.view import Redirect, Template, ViewSpec, in_order

wrapped: list[tuple[ViewSpec, ...]] = []


def _wrap(view: Callable[..., Any], specs: tuple[ViewSpec, ...]) -> Callable[..., Any]:
    wrapped.append(specs)

    def guarded(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    return guarded


decorators = Decorators(_wrap)
NAN, INFINITE = float("nan"), float("inf")
NOT_UNITS: list[Any] = [-1, NAN, INFINITE, -INFINITE, True, "1", 10**400]


def view(request: object) -> str:
    return "seen"


class View:
    pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: decorators.requires_feature(view), "without its parentheses"),  # type: ignore[arg-type]
        (lambda: decorators.meters_usage(view), '@meters_usage("feature-id")'),  # type: ignore[arg-type]
        (lambda: decorators.requires_any(view), "without its parentheses"),  # type: ignore[arg-type]
        (lambda: decorators.requires_feature(""), "the feature id is ''"),
        (lambda: decorators.requires_feature("  "), "the feature id is '  '"),
        (lambda: decorators.meters_usage(""), "the feature id is ''"),
        (lambda: decorators.requires_feature(7), "the feature id is 7"),  # type: ignore[arg-type]
        (
            lambda: decorators.requires_feature(feature("f", at_least=2)),  # type: ignore[arg-type]
            'give "f" and the rest by keyword, or give it to requires_all(...)',
        ),
        (lambda: decorators.requires_feature(), "neither of feature id and currency"),
        (lambda: decorators.requires_feature("f", currency="c"), "given both"),
        (lambda: decorators.requires_any(), "given nothing to require"),
        (lambda: decorators.requires_all("f", ""), "the feature id is ''"),
        (lambda: decorators.requires_any(3), "use ids or feature(...)"),  # type: ignore[arg-type]
        (lambda: decorators.requires_feature("f", on_denied=200), "on_denied is 200"),
        (
            lambda: decorators.requires_feature("f", on_denied={"TIRED": 402}),  # type: ignore[dict-item]
            "the reasons are",
        ),
        (
            lambda: decorators.requires_feature("f", on_unavailable="maybe"),  # type: ignore[arg-type]
            'on_unavailable is "maybe"; use "allow" or "deny"',
        ),
        (lambda: decorators.requires_feature("f", fallback="yes"), "use True, False"),  # type: ignore[arg-type]
        (lambda: decorators.requires_feature("f", customer=7), "customer is 7"),  # type: ignore[arg-type]
        (
            lambda: decorators.meters_usage("f", update="add"),  # type: ignore[arg-type]
            'update is "add"; use "delta" or "set"',
        ),
        (
            lambda: decorators.meters_usage("f", dimensions={"at": object()}),  # type: ignore[dict-item]
            "dimension 'at'",
        ),
        (lambda: decorators.requires_feature("f", on_denied={}), "on_denied is {}"),
        (
            lambda: decorators.requires_feature("f", on_denied="/two words"),
            "has no spaces",
        ),
        (
            lambda: decorators.requires_feature("f", on_denied=Redirect("plans")),
            "on_denied is 'plans'; use a URL that begins with",
        ),
        (
            lambda: decorators.requires_feature("f", on_denied="plans"),
            'on_denied is "plans"; use the full dotted path',
        ),
        (
            lambda: decorators.requires_feature("f", on_denied="os.nothing"),
            '"os" has no "nothing"',
        ),
        (lambda: decorators.requires_feature("f", shadow="yes"), "shadow is 'yes'"),  # type: ignore[arg-type]
        (lambda: decorators.meters_usage("f", shadow=1), "shadow is 1"),  # type: ignore[arg-type]
        (lambda: decorators.requires_any("f", message=" "), "message is ' '"),
        (lambda: decorators.requires_all("f", message=402), "message is 402"),  # type: ignore[arg-type]
        (lambda: decorators.requires_feature("f", message=b"no"), "message is b'no'"),  # type: ignore[arg-type]
        (lambda: decorators.requires_feature("f", resource=""), 'resource is ""'),
        (lambda: decorators.requires_feature("f", values=5), "values is 5"),  # type: ignore[arg-type]
        (lambda: decorators.meters_usage("f", when=200), "when is 200"),  # type: ignore[arg-type]
        (lambda: decorators.meters_usage("f", when=["2"]), "when contains '2'"),  # type: ignore[list-item]
        (lambda: decorators.meters_usage("f", dimensions="a"), "dimensions is 'a'"),  # type: ignore[arg-type]
        (
            lambda: decorators.meters_usage("f", dimensions={"size": NAN}),
            "dimension 'size' cannot be sent",
        ),
        (
            lambda: decorators.meters_usage("f", dimensions={"size": 10**400}),
            "dimension 'size' cannot be sent",
        ),
        *(
            (lambda units=units: decorators.meters_usage("f", value=units), "value is")
            for units in NOT_UNITS
            if units != -1  # given back
        ),
        *(
            (
                lambda units=units: decorators.requires_feature("f", usage=units),
                "usage is",
            )
            for units in NOT_UNITS
        ),
        *(
            (
                lambda units=units: decorators.requires_feature("f", at_least=units),
                "at_",
            )
            for units in NOT_UNITS
        ),
    ],
)
def test_bad_word_is_refused_when_the_decorator_is_written(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises((ValueError, TypeError)) as raised:
        make()
    assert message in str(raised.value)


@pytest.mark.parametrize("decorator", ["requires_feature", "meters_usage"])
def test_class_and_other_things_are_not_views(decorator: str) -> None:
    decorate = getattr(decorators, decorator)("f")
    with pytest.raises(TypeError, match=rf"@{decorator} stands on the class View"):
        decorate(View)
    with pytest.raises(TypeError, match="which is not a view"):
        decorate("view")
    with pytest.raises(TypeError, match="stands on the class View"):
        guard_exempt(View)


def test_lone_string_is_one_value_and_not_its_letters() -> None:
    need = feature_spec("f", values="eu").need
    assert isinstance(need, Requirement)
    assert need.values == ("eu",)


def test_guarded_view_carries_what_it_needs() -> None:
    guarded = decorators.requires_feature("a")(decorators.meters_usage("b")(view))
    needs = [spec.need for spec in specs_of(guarded)]
    assert [need.name for need in needs if isinstance(need, Requirement)] == ["a", "b"]
    assert specs_of(view) == ()


def test_stacked_decorators_become_one_wrapper() -> None:
    guarded = decorators.requires_feature("a")(decorators.requires_feature("b")(view))
    assert guarded.__stigg_guard_view__ is view  # type: ignore[attr-defined]
    assert len(wrapped[-1]) == 2


def test_question_with_usage_is_asked_before_the_plain_one_about_its_feature() -> None:
    plain, other = feature_spec("a"), feature_spec("b")
    metered = meter_spec("a")
    assert in_order((plain, other, metered)) == (metered, plain, other)
    assert in_order((other, metered)) == (other, metered)
    hidden = feature_spec("a", on_denied=404)
    assert in_order((hidden, metered)) == (hidden, metered)
    for_someone = meter_spec("a", customer=view)
    assert in_order((plain, for_someone)) == (plain, for_someone)


def test_exempt_view_is_marked_and_stays_the_same_function() -> None:
    def free(request: object) -> str:
        return "free"

    assert guard_exempt(free) is free
    assert is_exempt(free)
    assert not is_exempt(view)


def test_handler_of_a_class_may_be_exempt() -> None:
    class Page:
        @guard_exempt
        def get(self) -> None: ...

        def post(self) -> None: ...

    def page(request: object) -> None: ...

    page.view_class = Page  # type: ignore[attr-defined]
    assert is_exempt(page, "GET")
    assert is_exempt(page, "HEAD")
    assert not is_exempt(page, "POST")


def test_on_denied_is_read_by_what_it_looks_like() -> None:
    written = {
        "/plans/": Redirect("/plans/"),
        "https://pay.example/?a=b": Redirect("https://pay.example/?a=b"),
        "shop/upgrade.html": Template("shop/upgrade.html"),
        "upgrade.jinja": Template("upgrade.jinja"),
        "os.path.join": os.path.join,
    }
    for text, found in written.items():
        assert feature_spec("f", on_denied=text).on_denied == found
        assert Settings.from_mapping({"ON_DENIED": text}).on_denied == found
        rule = read_rule({"path": "/a", "feature": "f", "on_denied": text})
        assert rule.spec.on_denied == found
