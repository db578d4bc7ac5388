"""Dependencies of FastAPI: what the endpoint gets from them, their order, misuse."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, HTTPException, Request, Security
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.requests import HTTPConnection

from sidecar_client.local import LocalSidecar
from stigg_guard import Decision, Usage, currency, feature, specs_of
from stigg_guard_starlette import meters_usage, requires_feature
from stigg_guard_starlette.fastapi import (
    meters,
    requires,
    requires_all,
    requires_any,
)
from tests.behaviour.routes import DOMAIN, TEMPLATES, UNKNOWN, WITHIN
from tests.behaviour.usage import used
from tests.integrations.fastapi_site import AS_AT_LIMIT, AS_WITHIN, site, statuses

SIZE = "feature-06-max-file-size"
NeedsDomain = Annotated[Decision, Depends(requires(DOMAIN))]


class Template(BaseModel):
    name: str


def shown(decision: Decision) -> dict[str, Any]:
    """What an endpoint tells of the decision that it was given."""
    return {
        "allowed": decision.allowed,
        "feature": decision.requirement.name,
        "source": decision.source,
        "customer": decision.subject and decision.subject.customer_id,
    }


def test_endpoint_gets_the_decision(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.get("/default")
    async def default(decision: Decision = Depends(requires(DOMAIN))) -> Any:  # noqa: B008
        return shown(decision)

    @app.get("/annotated")
    def annotated(decision: NeedsDomain, q: int = 0) -> Any:
        return shown(decision)

    granted = {
        "allowed": True,
        "feature": DOMAIN,
        "source": "sidecar",
        "customer": WITHIN,
    }
    with TestClient(app) as client:
        for path in ("/default", "/annotated"):
            assert client.get(path, headers=AS_WITHIN).json() == granted
            assert client.get(path, headers=AS_AT_LIMIT).status_code == 402


def test_decision_says_how_much_is_left(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.get("/")
    def left(
        decision: Annotated[Decision, Depends(requires(TEMPLATES, usage=1))],
    ) -> float:
        entitlement = decision.entitlement
        assert entitlement is not None
        return (entitlement.usage_limit or 0) - (entitlement.current_usage or 0)

    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json() == 3


def test_exempt_request_gets_a_decision_that_nobody_was_asked_for(
    sidecar: LocalSidecar,
) -> None:
    def is_staff(connection: HTTPConnection) -> bool:
        return connection.headers.get("x-staff") == "yes"

    app = site(sidecar)
    needs = requires(DOMAIN, exempt_when=is_staff)

    @app.get("/")
    def view(decision: Decision = Depends(needs)) -> Any:  # noqa: B008
        return shown(decision)

    with TestClient(app) as client:
        exempt = client.get("/", headers={**AS_AT_LIMIT, "X-Staff": "yes"})
    assert exempt.json() == {
        "allowed": True,
        "feature": DOMAIN,
        "source": "guard",
        "customer": None,
    }
    assert sidecar.calls == {}


@pytest.mark.parametrize("where", ["dependency", "setting"])
def test_endpoint_gets_a_denied_decision_in_shadow_mode(
    sidecar: LocalSidecar, where: str
) -> None:
    app = site(sidecar, shadow=where == "setting")
    needs = requires(DOMAIN, shadow=True if where == "dependency" else None)

    @app.get("/")
    def view(decision: Decision = Depends(needs)) -> Any:  # noqa: B008
        return [decision.allowed, decision.is_shadow, decision.reason]

    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json() == [True, False, None]
        denied = client.get("/", headers=AS_AT_LIMIT)
    reason = "NO_FEATURE_ENTITLEMENT_IN_SUBSCRIPTION"
    assert denied.json() == [False, True, reason]


def test_usage_in_shadow_mode_is_reported_beyond_the_limit(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar)
    needs = Depends(meters(TEMPLATES, shadow=True))

    @app.post("/")
    def create(usage: Usage = needs) -> None:
        usage.value = 2

    with TestClient(app) as client:
        for _ in range(2):
            assert client.post("/", headers=AS_WITHIN).status_code == 200
    assert used(sidecar, WITHIN) == 7


def test_switched_off_guard_gives_a_decision_that_nobody_was_asked_for(
    sidecar: LocalSidecar,
) -> None:
    app = site(sidecar, enabled=False)

    @app.get("/")
    def view(decision: NeedsDomain) -> Any:
        return shown(decision)

    with TestClient(app) as client:
        found = client.get("/", headers=AS_AT_LIMIT).json()
    assert (found["allowed"], found["source"]) == (True, "guard")
    assert sidecar.calls == {}


def test_endpoint_gets_the_usage_and_says_what_it_used(sidecar: LocalSidecar) -> None:
    app = site(sidecar)

    @app.post("/")
    def create(
        count: int, usage: Annotated[Usage, Depends(meters(TEMPLATES, value=1))]
    ) -> None:
        usage.value = count

    with TestClient(app) as client:
        assert client.post("/?count=2", headers=AS_WITHIN).status_code == 200
    assert used(sidecar, WITHIN) == 5


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        (requires_any(UNKNOWN, DOMAIN), (200, 402)),
        (requires_all(DOMAIN, feature(SIZE, at_least=10)), (200, 402)),
        (requires_all(DOMAIN, UNKNOWN), (403, 402)),
        (requires_any(DOMAIN, currency("no-such-currency")), (200, 402)),
    ],
)
def test_any_or_all_of_several_needs(
    sidecar: LocalSidecar, dependency: Any, expected: tuple[int, int]
) -> None:
    app = site(sidecar)

    @app.get("/", dependencies=[Depends(dependency)])
    def view() -> None: ...

    assert statuses(app, "GET", "/") == expected


def test_dependency_carries_what_it_needs() -> None:
    dependency = requires(DOMAIN, at_least=3)
    (spec,) = specs_of(dependency)
    assert spec.need == feature(DOMAIN, at_least=3)
    assert DOMAIN in repr(dependency)
    assert repr(dependency).startswith("requires(")


def test_help_of_a_dependency_shows_its_options() -> None:
    assert "currency" in signature(requires).parameters
    assert "update" in signature(meters).parameters
    assert (requires_any.__doc__ or "").startswith("`Depends(requires_any(")


@pytest.mark.parametrize(
    "dependency", [requires(DOMAIN), requires_any(DOMAIN), meters(TEMPLATES)]
)
def test_dependency_refuses_to_be_a_decorator(dependency: Any) -> None:
    with pytest.raises(TypeError, match=r"it is a dependency: .*Depends\("):

        @dependency  # type: ignore[untyped-decorator]
        def view() -> None: ...


def credentials(
    request: Request,
    given: Annotated[HTTPBasicCredentials, Security(HTTPBasic())],
) -> str:
    if given.password != "secret":
        raise HTTPException(401)
    request.state.customer = given.username
    return given.username


def signed_in(connection: HTTPConnection) -> str | None:
    """The customer whom the application's own dependency found."""
    found: str | None = getattr(connection.state, "customer", None)
    return found


@pytest.mark.parametrize("kind", ["decorator", "parameter", "route", "router"])
def test_who_asks_is_found_by_the_dependency_that_signs_in(
    sidecar: LocalSidecar, kind: str
) -> None:
    app = site(sidecar, customer=signed_in)
    signs_in, guards = Security(credentials), Depends(requires(DOMAIN))

    def plain(user: Annotated[str, Security(credentials)]) -> str:
        return user

    def taking(
        user: Annotated[str, Security(credentials)], decision: NeedsDomain
    ) -> str:
        return user

    match kind:
        case "decorator":
            app.get("/")(requires_feature(DOMAIN)(plain))
        case "parameter":
            app.get("/")(taking)
        case "route":
            app.get("/", dependencies=[signs_in, guards])(plain)
        case _:
            app.router.dependencies += [signs_in, guards]
            app.get("/")(plain)

    with TestClient(app) as client:
        granted = client.get("/", auth=(WITHIN, "secret"))
        assert (granted.status_code, granted.json()) == (200, WITHIN)
        denied = client.get("/", auth=(AS_AT_LIMIT["X-Customer"], "secret"))
        assert denied.status_code == 402
        assert client.get("/", auth=(WITHIN, "wrong")).status_code == 401


def test_guard_may_stand_inside_of_the_applications_own_dependency(
    sidecar: LocalSidecar,
) -> None:
    def workspace(decision: NeedsDomain) -> Iterator[str]:
        assert decision.subject is not None
        yield f"workspace of {decision.subject.customer_id}"

    app = site(sidecar)

    @app.get("/")
    def view(own: str = Depends(workspace)) -> str:
        return own

    with TestClient(app) as client:
        assert client.get("/", headers=AS_WITHIN).json() == f"workspace of {WITHIN}"
    assert statuses(app, "GET", "/") == (200, 402)


@requires_feature(DOMAIN)
async def guarded_dependency(q: int = 0) -> int:
    return q


@requires_feature(DOMAIN)
def guarded_dependency_with_an_end(request: Request) -> Iterator[int]:
    yield int(request.query_params.get("q", 0))


@pytest.mark.parametrize(
    "dependency", [guarded_dependency, guarded_dependency_with_an_end]
)
def test_decorated_dependency_guards_every_endpoint_that_depends_on_it(
    sidecar: LocalSidecar, dependency: Any
) -> None:
    app = site(sidecar)

    @app.get("/")
    def view(q: int = Depends(dependency)) -> int:
        return q

    with TestClient(app) as client:
        assert client.get("/?q=3", headers=AS_WITHIN).json() == 3
        assert client.get("/?q=3", headers=AS_AT_LIMIT).status_code == 402


@pytest.mark.parametrize("kind", ["function", "template", "malformed"])
def test_payment_is_asked_for_before_the_body_is_judged(
    sidecar: LocalSidecar, kind: str
) -> None:
    app = site(sidecar)

    @app.post("/")
    def create(template: Template, decision: NeedsDomain) -> None: ...

    options: dict[str, Any] = {"json": {"wrong": 1}}
    if kind == "malformed":
        # FastAPI reads a body before anything else: what is no JSON is 422 for all.
        options = {"content": "{", "headers": {"Content-Type": "application/json"}}
        with TestClient(app) as client:
            assert client.post("/", **options).status_code == 422
        return
    assert statuses(app, "POST", "/", **options) == (422, 402)


def test_background_tasks_run_once_after_usage_was_reported(
    sidecar: LocalSidecar,
) -> None:
    seen: list[float] = []

    def note() -> None:
        seen.append(used(sidecar, WITHIN))

    app = site(sidecar)

    @app.post("/", dependencies=[Depends(meters(TEMPLATES))])
    async def create(background: BackgroundTasks) -> None:
        background.add_task(note)

    with TestClient(app) as client:
        assert client.post("/", headers=AS_WITHIN).status_code == 200
        assert client.post("/", headers=AS_AT_LIMIT).status_code == 402
    assert seen == [4]
    assert used(sidecar, WITHIN) == 4


@pytest.mark.parametrize("kind", ["decorator", "dependency"])
def test_background_task_that_fails_takes_no_usage_back(
    sidecar: LocalSidecar, kind: str
) -> None:
    def fail() -> None:
        raise LookupError("nobody there")

    async def create(background: BackgroundTasks) -> None:
        background.add_task(fail)

    app = site(sidecar)
    if kind == "decorator":
        app.post("/")(meters_usage(TEMPLATES)(create))
    else:
        app.post("/", dependencies=[Depends(meters(TEMPLATES))])(create)
    with TestClient(app) as client, pytest.raises(LookupError):
        client.post("/", headers=AS_WITHIN)
    assert used(sidecar, WITHIN) == 4
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/", headers=AS_WITHIN).status_code == 200
    assert used(sidecar, WITHIN) == 5
