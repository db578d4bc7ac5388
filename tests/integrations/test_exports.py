"""The public names of the adapters: learn one, know three."""

from __future__ import annotations

from importlib import import_module

import pytest

SHARED = {
    "AccessDenied",
    "decision_from",
    "guard_exempt",
    "guard_from",
    "meters_usage",
    "requires_all",
    "requires_any",
    "requires_feature",
    "usage_from",
}


@pytest.mark.parametrize(
    ("package", "own"),
    [
        (
            "stigg_guard_django",
            {
                "MetersUsageMixin",
                "RequestEntitlements",
                "RequiresFeatureMixin",
                "StiggGuardMiddleware",
                "StiggRequest",
                "entitlements_from",
                "guard",
                "guarded_path",
                "guarded_re_path",
                "is_staff",
                "webhook_view",
            },
        ),
        (
            "stigg_guard_flask",
            {
                "DeniedRequest",
                "PaymentRequired",
                "StiggGuard",
                "entitlements_from",
                "guard",
                "guard_blueprint",
                "signals",
                "webhook_blueprint",
            },
        ),
        (
            "stigg_guard_starlette",
            {
                "StiggGuardMiddleware",
                "entitlements_from",
                "guard_lifespan",
                "install_handlers",
                "webhook_route",
            },
        ),
    ],
)
def test_adapters_have_the_same_verbs(package: str, own: set[str]) -> None:
    module = import_module(package)
    assert set(module.__all__) == SHARED | own
    assert all(hasattr(module, name) for name in module.__all__)


def test_celery_has_its_propagation() -> None:
    assert import_module("stigg_guard_celery").__all__ == ["propagate_subject"]


def test_fastapi_has_its_dependencies() -> None:
    module = import_module("stigg_guard_starlette.fastapi")
    dependencies = ["meters", "requires", "requires_all", "requires_any"]
    documents = ["GuardedRoute", "document_denials"]
    assert module.__all__ == [*documents, *dependencies, "webhook_router"]


@pytest.mark.parametrize("module", ["stigg_guard.asgi", "stigg_guard.wsgi"])
def test_any_application_has_a_middleware_its_guard_and_its_usage(module: str) -> None:
    names = import_module(module).__all__
    functions = {"decision_from", "guard_from", "usage_from"}
    assert {"StiggGuardMiddleware", "WebhookReceiver", *functions} <= set(names)


def test_django_rest_framework_has_its_own_places() -> None:
    module = import_module("stigg_guard_django.drf")
    assert module.__all__ == [
        "APIAccessDenied",
        "GuardedViewSetMixin",
        "MeteringThrottle",
        "RequiresFeature",
        "exception_handler",
        "meters",
        "meters_usage",
        "requires",
        "requires_all",
        "requires_any",
        "requires_feature",
    ]
